"""Follows a rollout through the API until it ended, also over a while without the platform."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx

from launch.config.step_path import Points, StepPath
from launch.errors import LaunchError
from launch.platform_client import PlatformRefusedError, fetch

Body = Mapping[str, Any]

LOOK_SECONDS = 1.0
# A gateway that was killed is back within seconds; who waits for longer waits for nothing.
MOST_AWAY_LOOKS = 60


class Shown(Protocol):
    """Where a rollout is shown."""

    def show(self, found: Body, points: Sequence[Body]) -> None: ...
    def show_away(self, sentence: str) -> None: ...


async def look(client: httpx.AsyncClient, path: StepPath) -> tuple[Body, Points]:
    """Ask for the rollout and the looks at its step; LaunchError where nobody answers."""
    try:
        found: Body = await fetch(client, "GET", "/config/rollout")
        return found, await path.of(client, found)
    except httpx.HTTPError as error:
        raise LaunchError(_away(str(error) or type(error).__name__)) from None
    except PlatformRefusedError as refusal:
        if not httpx.codes.is_server_error(refusal.status):
            raise
        raise LaunchError(_away(str(refusal))) from None


async def follow(client: httpx.AsyncClient, shown: Shown) -> bool:
    """Look at the rollout each second until none goes on; tell whether it was aborted.

    That is the one that went on at the first look, or ended last before it: another may begin in
    the very second in which it ends, and is shown too.
    """
    path, away, followed = StepPath(), 0, Followed()
    while True:
        try:
            found, points = await look(client, path)
        except PlatformRefusedError:
            raise
        except LaunchError as error:
            away += 1
            if away >= MOST_AWAY_LOOKS:
                raise
            shown.show_away(f"{error} It is asked again each second.")
        else:
            away = 0
            shown.show(found, points)
            followed.note(found)
            if found["rollout"] is None:
                return followed.aborted
        await asyncio.sleep(LOOK_SECONDS)


class Followed:
    """The rollout that one began to follow, and how it ended."""

    def __init__(self) -> None:
        self._id: str | None = None
        self.aborted = False

    def note(self, found: Body) -> None:
        """Take an answer of GET /config/rollout."""
        rollout, last = found["rollout"], found["last"]
        if self._id is None and (first := rollout or last) is not None:
            self._id = first["id"]
        if last is not None and last["id"] == self._id:
            self.aborted = last["outcome"] == "aborted"


def _away(reason: str) -> str:
    return (
        f"The platform does not answer ({reason}). `ballast status` says what runs, and `ballast "
        "up` starts what does not. Meanwhile every gateway that lives ends a step at its deadline."
    )
