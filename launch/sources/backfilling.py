"""Has a source's past fetched anew by the platform that runs here, and watches it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from launch.errors import LaunchError
from launch.platform_client import fetch
from launch.progress import Progress

LOOK_SECONDS = 0.5
UNDER_WAY = {"queued", "running"}
State = dict[str, Any]


async def backfill(
    client: httpx.AsyncClient, name: str, since: datetime | None, until: datetime | None
) -> str:
    """Begin it, and wait for its end."""
    wanted = {"from": since, "to": until}
    body = {key: each.isoformat() for key, each in wanted.items() if each is not None}
    await fetch(client, "POST", _path(name), body)
    return await _wait(client, name)


async def cancel(client: httpx.AsyncClient, name: str) -> str:
    return _outcome(name, await fetch(client, "DELETE", _path(name)))


async def watch(client: httpx.AsyncClient, name: str) -> str:
    """Wait for the past that is being fetched: the first time, or anew."""
    state = await _state(client, name)
    if _first_share(state) < 1:
        await _watch_first(client, name)
        state = await _state(client, name)
    if (state["backfill"] or {}).get("state") in UNDER_WAY:
        return await _wait(client, name)
    return f"{name}: all of its past that is wanted is fetched, and none is fetched anew."


async def _watch_first(client: httpx.AsyncClient, name: str) -> None:
    with Progress().bar(f"The past of {name}") as show:
        while (share := _first_share(state := await _state(client, name))) < 1:
            show(share, f"{share:.0%}, {state['rows']:,} rows{_trouble(state)}")
            await asyncio.sleep(LOOK_SECONDS)


async def _wait(client: httpx.AsyncClient, name: str) -> str:
    with Progress().bar(f"The past of {name}") as show:
        while (found := await fetch(client, "GET", _path(name)))["state"] in UNDER_WAY:
            await _show(client, name, found, show)
            await asyncio.sleep(LOOK_SECONDS)
    if found["state"] == "failed":
        raise LaunchError(_outcome(name, found))
    return _outcome(name, found)


async def _show(
    client: httpx.AsyncClient, name: str, found: State, show: Callable[[float, str], None]
) -> None:
    if found["state"] == "queued":
        state = await _state(client, name)
        waits = "waits for the past that was wanted first" if _first_share(state) < 1 else "begins"
        show(0.0, f"{waits}{_trouble(state)}")
        return
    show(
        found["share"],
        f"{found['share']:.0%}, {found['rows']:,} rows, at {_text(found['reached'])}",
    )


async def _state(client: httpx.AsyncClient, name: str) -> State:
    for each in (await fetch(client, "GET", "/sources"))["sources"]:
        if each["name"] == name:
            found: State = each
            return found
    raise LaunchError(f"There is no source {name}: `ballast sources list` lists those there are.")


def _first_share(state: State) -> float:
    share: float | None = state["backfill_share"]
    return 1.0 if share is None else share


def _trouble(state: State) -> str:
    return "" if state["state"] == "live" else f"; the source is {state['state']}: {state['why']}"


def _outcome(name: str, found: State) -> str:
    lines = [f"The backfill of {name} is {found['state']}: {found['rows']:,} rows were stored."]
    if found["since"] is not None and found["until"] is not None:
        lines[0] += f" It is of {_text(found['since'])} to {_text(found['until'])}."
    if found["reason"]:
        lines.append(f"  {found['reason']}")
    lines += [
        f"  {each['fault']}, {each['count']} times: {each['example']}"
        for each in found["complaints"]
    ]
    return "\n".join(lines)


def _path(name: str) -> str:
    return f"/sources/{name}/backfill"


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")
