"""The samples of a remote-write source: from the stream to rows, also where many wait."""

import time

import numpy as np
import pytest
from redis.asyncio import Redis

from config_store.sources import RemoteWriteSource
from deployments.telemetry.building import samples_source
from deployments.telemetry.followed import Stretch
from deployments.telemetry.written import ENTRIES, WrittenSource
from features.sources.remote_write.needed import Series, identity_of
from features.sources.remote_write.samples import Samples, encode
from features.sources.remote_write.stream import MOST_READ_BYTES, Arrived, SampleStream
from features.sources.rules import Mapping, Rate, Selector
from features.sources.source import Gathered

SOURCE = RemoteWriteSource(
    mapping=Mapping(
        entity="job", metrics={"request_rate": Rate(of=Selector(name="requests_total"))}
    )
)
PODS = 3 * ENTRIES + 5


class Rows:
    """Keeps rows where the store would; what is newest there is where a source goes on."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}

    async def stretch(self) -> Stretch:
        return Stretch(min(self.rates, default=None), max(self.rates, default=None))

    def within_limit(self, gathered: Gathered) -> Gathered:
        return gathered

    async def take_in(self, gathered: Gathered, *, newest: bool) -> None:
        assert newest
        rows = gathered.telemetry
        self.rates |= dict(zip(rows.ts.tolist(), rows.request_rate.tolist(), strict=True))


def of_pod(pod: int, begin: int) -> bytes:
    """Give two and a half minutes of a counter that grows by one a second."""
    labels = {"__name__": "requests_total", "job": "orders", "pod": str(pod)}
    series = Series(identity_of(labels), "requests_total", (("job", "orders"),))
    times = np.arange(begin + 5, begin + 150, 10, dtype=np.int64)
    rows = np.zeros(len(times), np.uint32)
    return encode(Samples([series], rows, times * 1000, (times - begin + 1000).astype(np.float64)))


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("most_read_bytes", [1, 2000, MOST_READ_BYTES])
async def test_an_interval_that_waits_in_many_entries_is_evaluated_whole(
    redis: Redis, restart: bool, most_read_bytes: int
) -> None:
    stream, rows = SampleStream(redis, "edge", most_read_bytes=most_read_bytes), Rows()
    begin = int(time.time() - 200) // 60 * 60
    for pod in range(PODS):
        await stream.add(of_pod(pod, begin))

    def new() -> WrittenSource[Arrived]:
        return samples_source(SOURCE, stream, rows, lambda: time.time() + 60)  # type: ignore[arg-type] # it stands in a place's place

    written = new()
    while await written.step():
        if restart and rows.rates:
            written, restart = new(), False
    assert rows.rates == {begin: pytest.approx(PODS), begin + 60: pytest.approx(PODS)}
    assert (await stream.held()).entries == PODS  # the third interval still needs them
