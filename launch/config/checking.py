"""Has versions and policies checked, and says meanwhile what is waited for."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from httpx import AsyncClient

from launch.platform_client import fetch
from launch.progress import REPEATED_EVERY_SECONDS, Progress


async def validated(client: AsyncClient, number: int) -> Any:
    """Have a version checked; of its safety policy it is proved what is new."""
    with _waiting(f"Checking version {number}"):
        return await fetch(client, "POST", f"/config/versions/{number}/validate")


async def proved(client: AsyncClient, policy: Any) -> Any:
    """Have a policy checked as the validation of a version does it."""
    body = {"policy": policy, "against": "active", "only_changed": True}
    with _waiting("Looking for examples of what was found in its safety policy"):
        return await fetch(client, "POST", "/safety/policy/check", body)


@contextmanager
def _waiting(what: str) -> Iterator[None]:
    """Say it on a terminal at once, and in a log where it lasts.

    A proof takes seconds, one is made at a time, and on a busy machine it takes several times that.
    """
    why = "a proof has a small part of the processor while requests are answered"
    with Progress(repeated_every_s=REPEATED_EVERY_SECONDS).wait(f"{what} ({why})"):
        yield
