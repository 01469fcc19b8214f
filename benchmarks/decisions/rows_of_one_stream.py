"""How long a body of many rows of one stream takes, beside one row of as many values.

Through the keyed service of a replica, into a real Redis, in turns: the least of several rounds.
"""

import asyncio
import logging
import tempfile
import time
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
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService

ROWS = 1_000
_numbers = count()


async def milliseconds(service: KeyedService[Any], stream: str, bodies: list[list[Any]]) -> float:
    """Send each body as a row of one batch; say how long the answer took."""
    ids = [f"00000000-0000-7000-8000-{next(_numbers):012x}" for _ in bodies]
    asks = [{"op": "observe", "values": body} for body in bodies]
    names = [stream] * len(bodies)
    batch = Batch(service.handler.kind, names, {}, asks, names, ids)
    began = time.perf_counter()
    found = await service.answer(batch, "", "", StreamsConfig())
    took = time.perf_counter() - began
    if found.refusals:
        raise RuntimeError(f"rows were refused: {found.refusals}")
    return 1_000 * took


async def compare(redis: Redis, handler: Any, values: list[Any], rounds: int) -> list[str]:
    service: KeyedService[Any] = KeyedService(handler, KeyLog(redis, handler.kind), time.monotonic)
    for stream in ("rows", "row"):
        await milliseconds(service, stream, [values])
    rows, row = [], []
    for _ in range(rounds):
        rows.append(await milliseconds(service, "rows", [[value] for value in values]))
        row.append(await milliseconds(service, "row", [values]))
        await service.tidy()
    return [f"{ROWS:,} rows of one {handler.kind} stream", f"{min(rows):.1f}", f"{min(row):.1f}"]


async def main(rounds: int) -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, redis_running(Path(folder) / "log") as path:
        redis = Redis(unix_socket_path=str(path))
        handlers: list[tuple[Any, Any]] = [
            (RegimeHandler(AlarmBudget(0.0), time.time), rng.standard_normal(ROWS).tolist()),
            (PointHandler(AlarmBudget(0.0), time.time), rng.standard_normal((ROWS, 1)).tolist()),
        ]
        found = [await compare(redis, *each, rounds) for each in handlers]
        await redis.aclose()
    show("Milliseconds for a body", ("", "as rows", "as one row"), found)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(main(1 if is_quick(__doc__) else 7))
