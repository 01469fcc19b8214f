"""Fetches a rollout's certificates into a file that `ballast verify` reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson

from launch.errors import LaunchError
from launch.platform_client import fetch

PAGE = 5

Body = Mapping[str, Any]


async def download(
    client: httpx.AsyncClient, rollout: str, step: int | None, file: Path
) -> list[str]:
    """Write the certificates of a rollout, or that of one step; gives lines that tell of each.

    Without a name it is the rollout that goes on, or the one that ended last.
    """
    name = rollout or await _latest(client)
    found = await _all(client, name)
    if step is not None:
        found = [each for each in found if each["plan"]["step"] == step][-1:]
    if not found:
        of = f"step {step} of the rollout {name}" if step is not None else f"the rollout {name}"
        raise LaunchError(
            f"There is no certificate of {of} yet: a step has one once it was judged. `ballast "
            "config watch` shows how far it is."
        )
    _write(file, found[0] if step is not None else found)
    them = "it" if len(found) == 1 else "them"
    how = f"`ballast verify {file}` recomputes {them} from the ledger's archive by itself."
    return [*map(_line, found), how]


async def _latest(client: httpx.AsyncClient) -> str:
    shown = await fetch(client, "GET", "/config/rollout")
    rollout = shown["rollout"] or shown["last"]
    if rollout is None:
        raise LaunchError("No rollout was begun yet, so there is no certificate.")
    name: str = rollout["id"]
    return name


async def _all(client: httpx.AsyncClient, rollout: str) -> list[Body]:
    found: list[Body] = []
    after: str | None = ""
    while after is not None:
        path = f"/config/rollout/{rollout}/certificate?limit={PAGE}&after={after}"
        page = await fetch(client, "GET", path)
        found += page["certificates"]
        after = page["next"]
    return found


def _write(file: Path, content: Body | list[Body]) -> None:
    try:
        file.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise LaunchError(f"{file} cannot be written: {error.strerror or error}.") from None


def _line(certificate: Body) -> str:
    plan = certificate["plan"]
    weaker = f" WEAKER than usual: {'; '.join(plan['weakened'])}." if plan["weakened"] else ""
    return (
        f"step {plan['step']} of the rollout {plan['rollout']}: {certificate['verdict']}, "
        f"{certificate['reason']}.{weaker} Its hash is {certificate['hash']}."
    )
