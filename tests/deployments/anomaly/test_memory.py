"""Memory that streams take: bounded, given back, and nothing of a stream lost for it."""

import os
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from redis.asyncio import Redis

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import AlarmBudget
from deployments.anomaly.regime import RegimeHandler
from deployments.runtime.batch import Batch
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from models.anomaly.streams import RegimeStreams

MB = 1024 * 1024
ROWS = 500
STREAMS = int(os.environ.get("MANY_STREAMS", "6000"))
LIMIT = 16 * MB


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Replica:
    def __init__(self, redis: Redis) -> None:
        handler = RegimeHandler(AlarmBudget(0.0), lambda: 1_000.0)
        limits = StateCacheLimits(most_bytes=LIMIT, idle_seconds=1e9)
        self.now = 0.0
        self.service: Any = KeyedService(handler, KeyLog(redis, "regime"), lambda: self.now, limits)
        self._asked = 0

    async def observe(self, streams: range, values: list[list[float]]) -> list[dict[str, Any]]:
        """Send each stream its values, many to a body; give the last columns of each."""
        found = []
        for at in range(0, len(streams), ROWS):
            part = streams[at : at + ROWS]
            keys = [f"s/{number}" for number in part]
            asks = [{"op": "observe", "values": values[number], "ts": 1.0} for number in part]
            ids = [f"00000000-0000-7000-8000-{self._asked + row:012x}" for row in range(len(part))]
            self._asked += len(part)
            batch = Batch("regime", keys, {}, asks, keys, ids)
            prediction = await self.service.answer(batch, "m", "1", StreamsConfig())
            assert not prediction.refusals
            found += [
                {name: column[row] for name, column in prediction.columns.items()}
                for row in range(len(part))
            ]
        return found


async def test_a_flood_of_streams_stays_within_the_limit_and_each_answers_to_the_bit(
    redis: Redis,
) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(STREAMS, 8)).tolist()
    more = rng.normal(size=(STREAMS, 2)).tolist()
    replica = Replica(redis)
    await replica.observe(range(ROWS), values)  # what the code itself takes is there by now
    before = resident_bytes()
    await replica.observe(range(ROWS, STREAMS), values)
    await replica.service.tidy()
    cache = replica.service.cache
    assert cache.bytes <= LIMIT
    assert len(cache) < STREAMS / 4
    # The heap is not the array's neat rows, so twice the limit; without it, it would be six times.
    assert resident_bytes() - before < 2 * LIMIT
    answers = await replica.observe(range(STREAMS), more)
    plain = RegimeStreams()
    for number in range(0, STREAMS, 97):
        slot = plain.open(crc32(f"s/{number}".encode()))
        both = np.array(values[number] + more[number])[:, None]
        expected = plain.advance(np.full(10, slot), both, 0.0, when=1.0)
        assert answers[number]["change_probability"] == expected.change_probability[-1]
        assert answers[number]["mean"] == expected.mean[-1, 0]
        assert answers[number]["sd"] == expected.sd[-1, 0]


async def test_streams_that_left_give_their_pages_back(redis: Redis) -> None:
    replica = Replica(redis)
    values = np.random.default_rng(3).normal(size=(1_000, 8)).tolist()
    await replica.observe(range(1_000), values)
    table = replica.service.handler._streams.alarms._memory.scores
    table[:1_000] = 1.0  # every page is there now, whoever touched it
    before = resident_bytes()
    replica.now = 1e10
    while len(replica.service.cache):
        await replica.service.tidy()
    assert resident_bytes() < before - table[:1_000].nbytes // 2
    assert not table[100:900].any()
    answers = await replica.observe(range(1_000), values)
    assert np.isfinite([each["mean"] for each in answers]).all()
