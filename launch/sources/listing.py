"""Lists, pauses and removes sources, for the command line."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from config_store.sources import SourceConfig
from config_store.store import ConfigStore
from launch.errors import LaunchError
from launch.platform_client import client_of, fetch, running_here
from launch.sources.change import change_sources, configuration, pause, remove, where
from settings.environment import Settings

ANSWERS_WITHIN_SECONDS = 5.0
BAR_CHARACTERS = 20
UNDER_WAY = {"queued", "running"}
NOT_RUNNING = "the platform does not run here"


async def listed(settings: Settings) -> str:
    async with configuration(settings) as redis:
        sources = (await ConfigStore(redis).active()).document.sources
    if not sources.named:
        return "No source is connected; `ballast connect` connects one."
    states = await states_by_name(settings)
    lines = [
        f"{name:<16} {each.kind:<12} {_state(name, each, states):<12} {where(each)}"
        f"{_past_bar(name, states)}"
        for name, each in sorted(sources.named.items())
    ]
    if not isinstance(states, dict):
        return "\n".join([*lines, f"({states})"])
    return "\n".join([*lines, *(each for name in states for each in held_back(name, states[name]))])


async def remove_source(settings: Settings, name: str, now: datetime) -> str:
    async with configuration(settings) as redis:
        what, models = f"{name} is removed", settings.paths.models
        made = await change_sources(redis, models, remove(name), what, now)
    return f"{made.describe(what)} What it gave is kept."


async def set_paused(settings: Settings, name: str, now: datetime, *, paused: bool) -> str:
    what = f"{name} is {'paused' if paused else 'resumed'}"
    change, models = pause(name, paused=paused), settings.paths.models
    async with configuration(settings) as redis:
        return (await change_sources(redis, models, change, what, now)).describe(what)


async def states_by_name(settings: Settings) -> dict[str, dict[str, Any]] | str:
    """Ask the platform how its sources are; a text says why it cannot tell."""
    run = running_here(settings)
    if run is None or not run.ready:
        return NOT_RUNNING
    try:
        async with client_of(settings, run, ANSWERS_WITHIN_SECONDS) as client:
            found = await fetch(client, "GET", "/sources")
        return {each["name"]: each for each in found["sources"]}
    except (LaunchError, ValueError) as error:
        return f"the platform does not tell how they are: {error}"


def held_back(name: str, state: dict[str, Any]) -> Iterator[str]:
    """Say which mapping is configured and not followed, why, and what to do."""
    held: dict[str, Any] | None = state.get("held_back")
    if held is None:
        return
    yield f"{name}: {held['why']}."
    if held["refused"]:
        yield (
            f"  Correct it with `ballast sources correct {name} FILE`, or follow it as it is with "
            f"`ballast sources force {name}`."
        )


def _state(name: str, source: SourceConfig, states: dict[str, dict[str, Any]] | str) -> str:
    if source.paused:
        return "paused"
    if isinstance(states, str):
        return "unknown"
    return str(states.get(name, {}).get("state", "not yet known"))


def _past_bar(name: str, states: dict[str, dict[str, Any]] | str) -> str:
    """Show how much is fetched of a past that is being fetched; empty where none is."""
    state = states.get(name, {}) if isinstance(states, dict) else {}
    backfill = state.get("backfill") or {}
    first = state.get("backfill_share")
    if first is not None and first < 1 and state.get("state") == "live":
        share, what = first, "of its past"
    elif backfill.get("state") in UNDER_WAY:
        share, what = backfill["share"], "fetched anew"
    else:
        return ""
    full = int(share * BAR_CHARACTERS)
    return f"  [{'#' * full}{'-' * (BAR_CHARACTERS - full)}] {share:.0%} {what}"
