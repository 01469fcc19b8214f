"""Many streams through one service, without a platform: growth of the process and of Redis.

python -m benchmarks.abuse.one_service --limit-mb 64
"""

import argparse
import asyncio
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from redis.asyncio import Redis

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.regime import RegimeHandler
from deployments.anomaly.stream import Stream
from deployments.runtime.batch import Batch
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from launch.redis_server import RedisServer
from settings.redis_connection import open_redis

MB = 1024 * 1024
ROWS = 1_000


class Flood:
    def __init__(self, redis: Redis, limit_mb: int) -> None:
        handler = RegimeHandler(AlarmBudget(0.0), time.time)
        limits = StateCacheLimits(most_bytes=limit_mb * MB)
        log = KeyLog(redis, handler.kind)
        self.service: KeyedService[Stream] = KeyedService(handler, log, time.monotonic, limits)

    async def begin(self, first: int) -> None:
        """Begin a batch of streams, the first of this number."""
        names = [f"s/{number}" for number in range(first, first + ROWS)]
        ids = [f"00000000-0000-7000-8000-{first + row:012x}" for row in range(ROWS)]
        asks = [{"op": "observe", "values": [1.0, 2.0], "ts": 1.0} for _ in names]
        batch = Batch("regime", names, {}, asks, names, ids)
        await self.service.answer(batch, "m", "1", StreamsConfig())


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


async def redis_mb(redis: Redis) -> float:
    return float((await redis.info("memory"))["used_memory"]) / MB


async def measure(address: str, streams: int, limit_mb: int) -> None:
    redis = open_redis(address)
    flood = Flood(redis, limit_mb)
    await flood.begin(0)
    own, in_redis, started = resident_mb(), await redis_mb(redis), time.monotonic()
    for first in range(ROWS, streams, ROWS):
        await flood.begin(first)
    seconds, grown = time.monotonic() - started, resident_mb() - own
    await flood.service.tidy()
    print(f"{streams} streams, a limit of {limit_mb} MB, {seconds:.1f} s")
    print(f"  the process grew by {grown:.0f} MB, and is at {resident_mb() - own:.0f} after a tidy")
    print(f"  Redis grew by {await redis_mb(redis) - in_redis:.0f} MB")
    print(f"  {len(flood.service.cache)} streams are in memory")
    await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=60_000)
    parser.add_argument("--limit-mb", type=int, default=64)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="bl") as folder:
        server = RedisServer(Path(folder) / "redis", Path(folder) / "private" / "s")
        server.start()
        try:
            asyncio.run(measure(f"unix://{folder}/private/s", options.streams, options.limit_mb))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
