"""Asks the platform that runs here, with the key of its run record."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from launch import own_processes
from launch.errors import LaunchError
from launch.in_commands import in_commands
from launch.run_record import Run, RunRecord
from settings.environment import Settings

ANSWERS_WITHIN_SECONDS = 60.0


class PlatformRefusedError(LaunchError):
    """The platform answered with a status of failure."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def running_here(settings: Settings) -> Run | None:
    """Read the record of the run whose process is alive on this machine."""
    run = RunRecord(settings.home).read()
    return run if run is not None and own_processes.alive(run.pid, run.started) else None


@asynccontextmanager
async def platform_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of the platform that runs here; raises LaunchError where none does."""
    run = running_here(settings)
    if run is None:
        raise LaunchError("Ballast does not run here; `ballast up` starts it.")
    async with client_of(settings, run) as client:
        yield client


@asynccontextmanager
async def client_of(
    settings: Settings, run: Run, seconds: float = ANSWERS_WITHIN_SECONDS
) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of a run's platform; raises LaunchError where it does not answer."""
    try:
        key = settings.paths.key_file.read_text().strip()
    except OSError as error:
        raise LaunchError(
            f"The key {settings.paths.key_file} cannot be read: {error.strerror or error}."
        ) from None
    async with httpx.AsyncClient(
        base_url=run.url, headers={"X-API-Key": key}, timeout=seconds
    ) as client:
        try:
            yield client
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise LaunchError(f"The platform does not answer: {reason}") from None


async def fetch(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """Ask, and give the answer; raises PlatformRefusedError with the platform's reason."""
    return accepted(method, path, await client.request(method, path, json=body)).json()


def accepted(method: str, path: str, answer: httpx.Response) -> httpx.Response:
    """Give an answer back that is no refusal; raises PlatformRefusedError where it is one."""
    if answer.is_success:
        return answer
    reason = f"The platform refuses {method} {path}: {in_commands(_reason(answer))}"
    raise PlatformRefusedError(answer.status_code, reason)


def _reason(answer: httpx.Response) -> str:
    """Read the sentence out of the platform's own refusal; what stands before it may answer too."""
    try:
        error = answer.json()["error"]
        fields = [f"{name}: {fault}" for name, fault in error["fields"].items()]
        return "; ".join([error["message"], *fields])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text
