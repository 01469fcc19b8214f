"""Asks the platform for training sets, through its front door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from launch import own_processes
from launch.errors import LaunchError
from launch.run_record import RunRecord
from settings.environment import Settings

ANSWERS_WITHIN_SECONDS = 60.0
LOOK_SECONDS = 0.25
PATH = "/features/datasets"

Body = dict[str, Any]


@asynccontextmanager
async def front_door(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open the platform that runs here; raises LaunchError where none does."""
    run = RunRecord(settings.home).read()
    if run is None or not own_processes.alive(run.pid, run.started):
        raise LaunchError("Ballast does not run here; `ballast up` starts it.")
    key = settings.paths.key_file.read_text().strip()
    async with httpx.AsyncClient(
        base_url=run.url, headers={"X-API-Key": key}, timeout=ANSWERS_WITHIN_SECONDS
    ) as door:
        try:
            yield door
        except httpx.HTTPError as away:
            said = str(away) or type(away).__name__
            raise LaunchError(f"The front door does not answer: {said}") from None


async def make_dataset(
    door: httpx.AsyncClient, query: Body, file: Path, progress: Callable[[int, int], None]
) -> Body:
    """Have a training set made, and write it to a file; gives its certificate."""
    job = await fetch(door, "POST", PATH, query)
    while job["state"] in {"queued", "running"}:
        progress(job["done_rows"], job["rows"])
        await asyncio.sleep(LOOK_SECONDS)
        job = await fetch(door, "GET", f"{PATH}/{job['id']}")
    if job["state"] != "done":
        raise LaunchError(f"The training set was {job['state']}: {job['reason'] or 'by somebody'}")
    progress(job["rows"], job["rows"])
    await _download(door, f"{PATH}/{job['id']}/file", file)
    await fetch(door, "DELETE", f"{PATH}/{job['id']}")
    certificate: Body = job["certificate"]
    return certificate


async def fetch(door: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    """Ask, and give the answer; raises LaunchError with the platform's reason."""
    return _answer(method, path, await door.request(method, path, json=body)).json()


def _answer(method: str, path: str, answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        error = answer.json()["error"]
        said = "; ".join([error["message"], *(f"{k}: {v}" for k, v in error["fields"].items())])
    except (ValueError, KeyError, TypeError, AttributeError):
        said = answer.text
    raise LaunchError(f"The platform refuses {method} {path}: {said}")


async def _download(door: httpx.AsyncClient, path: str, file: Path) -> None:
    async with door.stream("GET", path) as answer:
        if not answer.is_success:
            await answer.aread()
        _answer("GET", path, answer)
        try:
            with file.open("wb") as opened:
                async for piece in answer.aiter_bytes():
                    opened.write(piece)
        except OSError as error:
            raise LaunchError(f"{file} cannot be written: {error.strerror or error}.") from None
