"""Asks the platform about its configuration, with this machine's key or a person's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from config_store.errors import ChangedBehindError, ConfigError
from config_store.running import RunningVersions
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from deployments.gateway.steering.status import describe_steering
from launch.archive_command import opened_redis
from launch.command import read_settings
from launch.errors import LaunchError
from launch.platform_client import fetch, platform_client
from launch.run_record import RunRecord
from launch.sources.steps import run
from settings.environment import Settings

T = TypeVar("T")

# A replica follows within a second, and reports each second.
COMPLETE_LOOKS, COMPLETE_LOOK_SECONDS = 40, 0.25


def ask(work: Callable[[httpx.AsyncClient], Awaitable[T]], key_file: Path | None = None) -> T:
    """Do something through the API, and fail with a sentence."""

    async def through() -> T:
        async with _opened(read_settings(), key_file) as client:
            return await work(client)

    return run(through())


@asynccontextmanager
async def _opened(settings: Settings, key_file: Path | None) -> AsyncIterator[httpx.AsyncClient]:
    async with platform_client(settings) as client:
        if key_file is not None:
            client.headers["X-API-Key"] = _key(key_file)
        yield client


def _key(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as error:
        raise LaunchError(
            f"The key file {file} cannot be read: {error.strerror or error}."
        ) from None


async def steering(settings: Settings, now: float) -> dict[str, Any]:
    """Give where the configuration stands: from the platform, else from Redis itself."""
    runs = RunRecord(settings.home).read() is not None
    if runs:
        try:
            async with _opened(settings, None) as client:
                found: dict[str, Any] = await fetch(client, "GET", "/config/steering")
                return found
        except LaunchError:
            pass  # after a crash Redis may be all that is left
    async with opened_redis(settings, "where the configuration stands") as redis:
        try:
            state = await SteeringStore(redis).read()
        except ChangedBehindError as error:
            copied = await StateCopy(redis).read()
            raise LaunchError(f"{error} {_mended(copied, runs=runs)}") from None
        except ConfigError as error:
            raise LaunchError(str(error)) from None
        replicas = await RunningVersions(redis).all()
        return describe_steering(state, replicas, now).model_dump(mode="json")


def _mended(copied: SteeringState | None, *, runs: bool) -> str:
    """Say precisely what mends a state that is spoilt."""
    if copied is not None:
        does = "`ballast config repair` writes" if runs else "`ballast up` writes"
        return f"Its copy, of revision {copied.revision}, is whole: {does} it again."
    first = "" if runs else "Begin with `ballast up`: every family answers its fallback. "
    return (
        f"It has no copy that could be trusted. {first}Where no gateway knows the state, `ballast "
        "config repair --rebuild`, with an admin's key, makes one of the documents and the journal."
    )


async def completed(client: httpx.AsyncClient) -> str:
    """Wait until every replica goes by the active version; say so, or name those that do not."""
    for _ in range(COMPLETE_LOOKS):
        found = await fetch(client, "GET", "/config/drift")
        behind = [each["replica"] for each in found["replicas"] if each["state"] == "behind"]
        if not behind:
            return f"Every replica goes by version {found['version']}."
        await asyncio.sleep(COMPLETE_LOOK_SECONDS)
    return (
        f"{len(behind)} replicas do not go by version {found['version']} yet: {', '.join(behind)}. "
        "`ballast config drift` shows them."
    )
