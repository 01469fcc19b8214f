"""What it costs a replica to follow the metrics of many entities, an interval at a time.

Streams are fed as the feeder feeds them: slice by slice through their keyed service, into a real
Redis. Times are of the processor, so that other work on the machine does not count; the longest
slice is what a request may have to wait for.
"""

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from redis.asyncio import Redis

from benchmarks.decisions.figures import is_quick, quantile_ms, show
from benchmarks.speed.redis_server import redis_running
from config_store.document import StreamsConfig
from deployments.anomaly.telemetry.handler import EvenBudget, TelemetryHandler
from deployments.anomaly.telemetry.keys import KIND
from deployments.anomaly.telemetry.rows import MOST_TOGETHER, Row
from deployments.anomaly.telemetry.streams import TelemetryKeys
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from observability.ledger.decision import DecisionIds

METRICS = ("request_rate", "error_rate", "p99_ms", "cpu")
MINUTE, BEGIN = 60, 1_772_452_800
PAST, ROUNDS = 3 * MOST_TOGETHER, 5
LIMITS = StateCacheLimits(most_residents=100_000, most_bytes=1 << 30)


class Fed:
    """A replica's streams, and how long each slice held it up."""

    def __init__(self, redis: Redis) -> None:
        budget, log = EvenBudget(), KeyLog(redis, KIND)
        handler = TelemetryHandler(budget, time.time)
        self.service = KeyedService(handler, log, time.monotonic, LIMITS)
        ids = DecisionIds(time.time, os.urandom)
        # Slices follow each other at once: no time passes on this clock.
        self._keys = TelemetryKeys(self.service, log, budget, ids, lambda: 0.0)
        self._rng = np.random.default_rng(0)

    async def take(self, entities: int, first: int, count: int) -> list[float]:
        """Feed so many intervals of all; give the seconds of the processor by slice."""
        slices, before = list[float](), time.process_time()
        async for _ in self._keys.take(
            self._rows(entities, first, count), StreamsConfig(), entities * len(METRICS)
        ):
            slices.append(time.process_time() - before)
            before = time.process_time()
        return slices

    def _rows(self, entities: int, first: int, count: int) -> Iterator[Row]:
        ts = [BEGIN + MINUTE * at for at in range(first, first + count)]
        for entity in range(entities):
            for metric in METRICS:
                values = self._rng.normal(20, 1, count).tolist()
                yield Row(f"service-{entity:04d}", metric, MINUTE, ts, values, float(ts[-1]))


async def measured(entities: int) -> list[list[str]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder, redis_running(Path(folder) / "log") as path:
        redis = Redis(unix_socket_path=str(path))
        fed = Fed(redis)
        await fed.take(1, 0, MOST_TOGETHER)  # the kernels are compiled
        for at in range(0, PAST, MOST_TOGETHER):
            began = await fed.take(entities, at + MOST_TOGETHER, MOST_TOGETHER)
        rows.append(_row("64 intervals of the past", entities, began))
        for at in range(ROUNDS):
            slices = await fed.take(entities, PAST + MOST_TOGETHER + at, 1)
            await fed.service.tidy()
        rows.append(_row("an interval", entities, slices))
        used = float((await redis.info("memory"))["used_memory"])
        rows.append(["memory of Redis, MB", "", f"{used / 1e6:.0f}", "", ""])
        rows.append(
            ["memory of the states, MB", "", f"{fed.service.cache.bytes / 1e6:.0f}", "", ""]
        )
        await redis.aclose()
    return rows


def _row(what: str, entities: int, slices: list[float]) -> list[str]:
    streams = entities * len(METRICS)
    return [
        what,
        f"{streams:,}",
        f"{sum(slices):.2f}",
        f"{quantile_ms(slices, 0.5):.1f}",
        f"{quantile_ms(slices, 0.99):.1f}",
    ]


def run(*, quick: bool) -> None:
    logging.disable(logging.WARNING)
    rows = asyncio.run(measured(50 if quick else 1_000))
    head = ("", "streams", "seconds", "a slice, ms", "p99, ms")
    show("Following telemetry, time of the processor", head, rows)


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
