"""What a stream costs in memory, in its replica and in Redis, and whether it grows with time.

Streams are fed as a replica feeds them: through their keyed service, into a real Redis. The costs
are of the processes as the system sees them (resident memory), each case in a process of its own.
"""

import asyncio
import gc
import logging
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from redis.asyncio import Redis

from benchmarks.decisions.figures import is_quick, show
from benchmarks.speed.redis_server import redis_running
from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.points import PointHandler
from deployments.anomaly.regime import RegimeHandler
from deployments.runtime.batch import Batch
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService

AT_ONCE = 256  # rows of a batch
BATCHES_A_SECOND = 2  # so that a stream is asked every two seconds at most
SEED = 0
_PAGE = 4_096
_numbers = count()


@dataclass(frozen=True)
class Case:
    what: str
    streams: int
    rounds: int
    body: int
    dimensions: int = 0
    """0 for regimes."""

    def less(self, times: int) -> "Case":
        return Case(
            self.what, max(self.streams // times, 1), self.rounds, self.body, self.dimensions
        )

    def bodies(self) -> Iterator[list[Any]]:
        rng = np.random.default_rng(SEED)
        shape = (self.body, self.dimensions) if self.dimensions else self.body
        for _ in range(self.rounds):
            yield rng.standard_normal(shape).tolist()

    def handler(self, clock: Callable[[], float]) -> Any:
        alarm_budget = AlarmBudget(clock())
        return (
            PointHandler(alarm_budget, clock)
            if self.dimensions
            else RegimeHandler(alarm_budget, clock)
        )


COSTS = (
    Case("regimes, 3 observations", 100_000, 3, 1),
    Case("regimes, 600 one by one", 1_000, 600, 1),
    Case("regimes, 3,000 in bodies of 100", 1_000, 30, 100),
    Case("rrcf of 1 dimension, 2,000 in bodies of 50", 200, 40, 50, 1),
    Case("rrcf of 4 dimensions, 2,000 in bodies of 50", 200, 40, 50, 4),
)
GROWTH = (
    Case("regimes", 1, 1_000, 1_000),
    Case("rrcf of 2 dimensions", 1, 1_000, 1_000, 2),
)


class Clock:
    """Moves on with every batch: what ages does so as at a usual load."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def tick(self) -> None:
        self.now += 1 / BATCHES_A_SECOND


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


class Replica:
    """One service over one Redis, and how much memory both take."""

    def __init__(self, case: Case, redis: Redis) -> None:
        self._clock = Clock()
        handler = case.handler(self._clock)
        self._log, self._redis = KeyLog(redis, handler.kind), redis
        self.service = KeyedService(handler, self._log, self._clock, StateCacheLimits())

    async def take(self, names: list[str], values: list[Any]) -> None:
        """Send the same body to each stream, as many a batch as a batch holds."""
        for first in range(0, len(names), AT_ONCE):
            part = names[first : first + AT_ONCE]
            ids = [f"00000000-0000-7000-8000-{next(_numbers):012x}" for _ in part]
            # As numbers of their own for every stream: a body's are not shared either.
            asks = [{"op": "observe", "values": (np.array(values) + 0.0).tolist()} for _ in part]
            batch = Batch(self.service.handler.kind, part, {}, asks, part, ids)
            await self.service.answer(batch, "", "", StreamsConfig())
            self._clock.tick()
            await self.service.tidy()

    async def memory(self) -> tuple[float, float]:
        """Read the resident memory of this process and Redis's own, in bytes."""
        gc.collect()
        pages = resident_pages()
        return pages * float(_PAGE), float((await self._redis.info("memory"))["used_memory"])


@asynccontextmanager
async def replica_of(case: Case) -> AsyncIterator[Replica]:
    """Start a Redis and a replica whose kernels are compiled and whose pools are warm."""
    with tempfile.TemporaryDirectory() as folder, redis_running(Path(folder) / "log") as path:
        redis = Redis(unix_socket_path=str(path))
        replica = Replica(case, redis)
        for body in list(case.bodies())[:2]:
            await replica.take(["warm"], body)
        yield replica
        await redis.aclose()


async def cost(case: Case) -> list[str]:
    """Give what a stream takes in the replica and in Redis, in kB."""
    async with replica_of(case) as replica:
        before = await replica.memory()
        names = [f"host-{number:06d}.requests" for number in range(case.streams)]
        for body in case.bodies():
            await replica.take(names, body)
        after = await replica.memory()
    each = [(b - a) / case.streams / 1e3 for a, b in zip(before, after, strict=True)]
    return [case.what, f"{case.streams:,}", *(f"{kilobytes:.1f}" for kilobytes in each)]


async def growth(case: Case) -> list[str]:
    """Give what one stream's processes take after a tenth of its points and after all, in MB."""
    async with replica_of(case) as replica:
        marks = list[float]()
        for number, body in enumerate(case.bodies(), start=1):
            await replica.take(["host.requests"], body)
            if number in {case.rounds // 10, case.rounds}:
                marks += await replica.memory()
    points = case.rounds * case.body
    return [case.what, f"{points:,}", *(f"{mark / 1e6:.1f}" for mark in marks)]


def measured(measure: Callable[[Case], Any], case: Case) -> list[str]:
    logging.disable(logging.WARNING)
    row: list[str] = asyncio.run(measure(case))
    return row


def run(*, quick: bool) -> None:
    apart = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=apart, max_tasks_per_child=1) as pool:
        costs = [case.less(20 if quick else 1) for case in COSTS]
        rows = [pool.submit(measured, cost, case).result() for case in costs]
        show("kB a stream", ("", "streams", "replica", "Redis"), rows)
        if not quick:
            rows = [pool.submit(measured, growth, case).result() for case in GROWTH]
            head = ("one stream", "points", "replica, a tenth", "Redis", "replica, all", "Redis")
            show("MB in all", head, rows)


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
