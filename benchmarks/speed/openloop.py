"""The open loop: requests leave at times fixed beforehand, whatever became of the earlier ones.

Latency counts from the scheduled arrival, so the time that a request waited for a connection, or
for a stalled server to take it, is part of it: nothing is omitted by waiting politely.
"""

import asyncio
import math
import random
import selectors
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle

from benchmarks.speed.connections import Pool, Record, Shot, wire_requests
from benchmarks.speed.target import Target

CONNECTIONS = 128
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class OpenLoop:
    offered: int
    ok: int
    non_2xx: int
    lost: int
    """Broken off, or without an answer when the grace after the last arrival was over."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    late_p50_ms: float
    """How late the generator itself was: its own share of the latencies above."""
    late_p99_ms: float


def fixed_arrivals(rate: float, seconds: float) -> list[float]:
    return [i / rate for i in range(round(rate * seconds))]


def poisson_arrivals(rate: float, seconds: float, rng: random.Random) -> list[float]:
    arrivals, now = [], rng.expovariate(rate)
    while now < seconds:
        arrivals.append(now)
        now += rng.expovariate(rate)
    return arrivals


def open_loop(
    target: Target, arrivals: Sequence[float], connections: int = CONNECTIONS
) -> OpenLoop:
    return send_at(arrivals, target.url, wire_requests(target), connections)


def send_at(
    arrivals: Sequence[float], url: str, requests: Sequence[bytes], connections: int = CONNECTIONS
) -> OpenLoop:
    """Send complete HTTP requests, in turn, at these times."""
    # select() takes microseconds, where epoll rounds a timer up to the next millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    try:
        record = loop.run_until_complete(_drive(arrivals, url, requests, connections))
    finally:
        loop.close()
    return summary(len(arrivals), record)


async def _drive(
    arrivals: Sequence[float], url: str, requests: Sequence[bytes], connections: int
) -> Record:
    loop, pool = asyncio.get_running_loop(), Pool(url, connections, len(arrivals))
    await pool.open()
    in_turn = cycle(requests)
    start = loop.time()
    for arrival in arrivals:
        await asyncio.sleep(max(0.0, start + arrival - loop.time()))
        pool.send(Shot(start + arrival, next(in_turn)))
    with suppress(TimeoutError):
        await asyncio.wait_for(pool.settled.wait(), GRACE_SECONDS)
    await pool.close()
    await asyncio.sleep(0)  # lets the transports end before the loop does
    return pool.record


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Take the nearest rank of values in ascending order; not a number without values."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def summary(offered: int, record: Record) -> OpenLoop:
    latencies, lateness = sorted(record.latencies), sorted(record.lateness)
    return OpenLoop(
        offered=offered,
        ok=record.ok,
        non_2xx=record.non_2xx,
        lost=record.lost,
        p50_ms=percentile(latencies, 50) * 1e3,
        p99_ms=percentile(latencies, 99) * 1e3,
        p999_ms=percentile(latencies, 99.9) * 1e3,
        max_ms=percentile(latencies, 100) * 1e3,
        late_p50_ms=percentile(lateness, 50) * 1e3,
        late_p99_ms=percentile(lateness, 99) * 1e3,
    )
