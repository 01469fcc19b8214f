"""What a platform takes meanwhile: processors and memory, as the kernel counts them."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from benchmarks.platform import Platform

MEGABYTE = 2**20
PROCESSES = {"gateway": "ServeReplica:ballast:gateway", "history": "ray::History"}


async def taken(platform: Platform, cadence: int, seconds: float) -> dict[str, float]:
    """Give processors, the most memory, and the longest wait for features of an interval."""
    most: dict[str, float] = {}
    ticks, spent = _ticks(platform), 0
    begun, since = time.monotonic(), time.time()
    while time.monotonic() - begun < seconds:
        found = await asyncio.to_thread(_megabytes, platform)
        if (after := await asyncio.to_thread(_after_its_end, platform, cadence, since)) is not None:
            found["an interval's features after its end, s, at most"] = after
        for name, value in found.items():
            most[name] = max(most.get(name, value), value)
        now = await asyncio.to_thread(_ticks, platform)
        spent += sum(now[pid] - ticks.get(pid, 0) for pid in now)
        ticks = now
        await asyncio.sleep(1)
    processors = spent / os.sysconf("SC_CLK_TCK") / (time.monotonic() - begun)
    return {"processors of the platform": processors} | most


def _after_its_end(platform: Platform, cadence: int, since: float) -> float | None:
    """Tell how long ago the interval behind the newest one that is known has ended."""
    headers = {"X-API-Key": platform.key}
    path = f"{platform.url}/features/vector?entity=service-0&features=request_rate"
    answer: dict[str, Any] = httpx.get(path, headers=headers, timeout=30).json()
    begun: float | None = answer["features"]["request_rate"]["event_time"]
    if begun is None or begun < since - cadence:  # the first interval of this run is not over yet
        return None
    return time.time() - begun - 2 * cadence


def _megabytes(platform: Platform) -> dict[str, float]:
    found = {
        f"{name}, MB at most": sum(map(_resident, platform.pids(title))) / MEGABYTE
        for name, title in PROCESSES.items()
    }
    with Redis(unix_socket_path=platform.redis) as redis:
        found["Redis, MB at most"] = int(redis.info("memory")["used_memory"]) / MEGABYTE
    return found


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:  # it has just ended
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _ticks(platform: Platform) -> dict[int, int]:
    """Give the processor time that each process has had; those that end take theirs along."""
    found = {}
    for pid in platform.pids(""):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[pid] = int(fields[11]) + int(fields[12])
    return found
