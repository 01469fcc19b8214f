"""One key begins streams and studies as fast as it can: see how much memory it gets."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from benchmarks.abuse.scenario import Figures
from benchmarks.abuse.victim import new_key, post
from benchmarks.platform import Platform

ROWS, CLIENTS = 1_000, 4
STREAM_SECONDS, STUDY_SECONDS = 22.0, 22.0
STUDIES, CANDIDATES = 96, 2_000
MEGABYTE = 2**20
ANSWER_SECONDS = 30.0
Body = dict[str, Any]


def measure(platform: Platform) -> Figures:
    key = new_key(platform, "begins without end")
    prefix = f"abuse-{time.time_ns() // 1_000_000}"
    streams = _grown(platform, "anomaly", lambda: _send(platform, key, _streams(prefix)))
    studies = _grown(platform, "optimization", lambda: _send(platform, key, _studies(prefix)))
    return {f"streams: {name}": value for name, value in streams.items()} | {
        f"studies: {name}": value for name, value in studies.items()
    }


def _grown(
    platform: Platform, holder: str, abuse: Callable[[], dict[str, float]]
) -> dict[str, float]:
    """Say what was taken, and how far it made the replica and Redis grow."""
    before = _megabytes(platform, holder)
    counts = abuse()
    after = _megabytes(platform, holder)
    grown = {f"{name} grew by, MB": round(after[name] - before[name], 1) for name in after}
    return counts | grown


def _megabytes(platform: Platform, holder: str) -> dict[str, float]:
    pids = platform.pids(f"ServeReplica:ballast:{holder}")
    resident = sum(_resident(pid) for pid in pids)
    with Redis(unix_socket_path=platform.redis) as redis:
        used = int(redis.info("memory")["used_memory"])
    return {f"the {holder} replica": resident / MEGABYTE, "Redis": used / MEGABYTE}


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _streams(prefix: str) -> Iterator[tuple[str, Body]]:
    until = time.monotonic() + STREAM_SECONDS
    for body in count():
        if time.monotonic() > until:
            return
        names = (f"{prefix}/{body}-{row}" for row in range(ROWS))
        yield "/models/regime-detection", {"rows": [_stream(name) for name in names]}


def _stream(name: str) -> Body:
    return {"stream": name, "values": [1.0, 2.0]}


def _studies(prefix: str) -> Iterator[tuple[str, Body]]:
    until = time.monotonic() + STUDY_SECONDS
    candidates = [{"x": at / CANDIDATES} for at in range(CANDIDATES)]
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    for study in range(STUDIES):
        if time.monotonic() > until:
            return
        design = {"candidates": candidates}
        yield "/models/bayes-opt", {"study": f"{prefix}/{study}", "space": space, "design": design}


def _send(platform: Platform, key: str, bodies: Iterator[tuple[str, Body]]) -> dict[str, float]:
    return asyncio.run(_sent(platform, key, bodies))


async def _sent(
    platform: Platform, key: str, bodies: Iterator[tuple[str, Body]]
) -> dict[str, float]:
    taken = refused = 0

    async def client_of_many(client: httpx.AsyncClient) -> None:
        nonlocal taken, refused
        for path, body in bodies:
            answer = await post(client, path, body)
            if answer is None or answer.status_code != httpx.codes.OK:
                refused += 1
                await asyncio.sleep(0.05)  # it does not obey Retry-After
            else:
                content = answer.json()
                rows = content if isinstance(content, list) else [content]
                taken += sum("data" in row for row in rows)

    async with httpx.AsyncClient(
        base_url=platform.url, headers={"X-API-Key": key}, timeout=ANSWER_SECONDS
    ) as client:
        await asyncio.gather(*(client_of_many(client) for _ in range(CLIENTS)))
    return {"begun": float(taken), "bodies refused": float(refused)}
