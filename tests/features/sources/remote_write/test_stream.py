"""Samples wait in Redis until they are let go of, and not more than there is room for."""

import asyncio
import threading

import numpy as np
import pytest
from redis.asyncio import Redis

from features.errors import IntakeFullError
from features.sources.entries import StreamSize
from features.sources.remote_write.needed import Series
from features.sources.remote_write.samples import Samples, decode, encode
from features.sources.remote_write.stream import SampleStream

SERIES = Series(7, "queue", (("job", "orders"),))


def entry(value: float) -> bytes:
    one = np.array([value])
    return encode(Samples([SERIES], np.zeros(1, np.uint32), np.array([1000]), one))


def many_times(count: int) -> bytes:
    """Write one sample so many times: hardly anything packed."""
    rows = np.zeros(count, np.uint32)
    return encode(Samples([SERIES], rows, np.full(count, 1000), np.zeros(count)))


async def read(stream: SampleStream, after: str = "0-0") -> list[float]:
    return [float(each.samples.values.sum()) for each in await stream.read(after, 1000)]


async def size_of(redis: Redis, *entries: bytes) -> int:
    stream = SampleStream(redis, "measured")
    await redis.delete(stream.name)
    for each in entries:
        await stream.add(each)
    return (await stream.held()).size


async def test_what_is_added_is_read_in_order_until_it_is_let_go_of(redis: Redis) -> None:
    stream = SampleStream(redis, "main")
    for value in range(200):
        await stream.add(entry(value))
    entries = await stream.read("0-0", 1000)
    assert [each.samples.values.tolist() for each in entries] == [[value] for value in range(200)]
    assert await read(stream, entries[150].id) == list(range(151, 200))
    assert [each.received_ms for each in entries] == [int(e.id.split("-")[0]) for e in entries]
    await stream.let_go(entries[149].id)
    assert await read(stream) == list(range(150, 200))
    assert await read(SampleStream(redis, "other")) == []


async def test_more_than_there_is_room_for_is_refused_and_room_comes_back(redis: Redis) -> None:
    size = await size_of(redis, entry(1.0))
    stream = SampleStream(redis, "main", most_bytes=3 * size)
    for value in range(3):
        await stream.add(entry(value))
    with pytest.raises(IntakeFullError, match=f"{3 * size} bytes"):
        await stream.add(entry(3))
    entries = await stream.read("0-0", 10)
    await stream.let_go(entries[0].id)
    await stream.add(entry(4))
    with pytest.raises(IntakeFullError):
        await stream.add(entry(5))
    assert await read(stream) == [1, 2, 4]


async def test_an_entry_takes_the_room_that_it_takes_unpacked(redis: Redis) -> None:
    """Whoever evaluates it holds it so, and a body of repeats packs a thousand times smaller."""
    stream = SampleStream(redis, "main", most_bytes=3_000_000)
    repeats = many_times(100_000)
    assert len(repeats) < 2000
    await stream.add(repeats)
    with pytest.raises(IntakeFullError):
        await stream.add(repeats)
    (waiting,) = await stream.read("0-0", 10)
    await stream.let_go(waiting.id)
    await stream.add(repeats)
    assert 2_000_000 <= (await stream.held()).size < 2_001_000


async def test_a_read_stops_at_what_can_be_held_at_once(redis: Redis) -> None:
    stream = SampleStream(redis, "main", most_read_bytes=5_000_000)
    for _ in range(7):
        await stream.add(many_times(100_000))
    after, sizes = "0-0", []
    while found := await stream.read(after, 4):
        sizes.append(len(found))
        after = found[-1].id
    assert sizes == [3, 3, 1]
    stream = SampleStream(redis, "main", most_read_bytes=1)
    assert len(await stream.read("0-0", 4)) == 1


async def test_others_go_on_while_an_entry_is_unpacked(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, others_went_on = SampleStream(redis, "main"), threading.Event()
    await stream.add(entry(1.0))

    def once_others_went_on(packed: bytes) -> Samples:
        assert others_went_on.wait(10)
        return decode(packed)

    monkeypatch.setattr("features.sources.remote_write.stream.decode", once_others_went_on)
    for reading in (stream.read("0-0", 1), stream.newest(1)):
        others_went_on.clear()
        asyncio.get_running_loop().call_later(0.05, others_went_on.set)
        assert len(await reading) == 1


async def test_a_stream_that_somebody_deleted_has_room(redis: Redis) -> None:
    stream = SampleStream(redis, "main", most_bytes=await size_of(redis, entry(1.0)))
    await stream.add(entry(1.0))
    await redis.delete(stream.name)
    await stream.add(entry(2.0))
    assert await read(stream) == [2.0]


async def test_an_entry_that_cannot_be_read_is_passed_over(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = SampleStream(redis, "main")
    await stream.add(entry(1.0))
    await stream.add(b"from another release")
    await stream.add(entry(2.0))
    assert await read(stream) == [1.0, 0.0, 2.0]
    assert "passed over" in caplog.text


async def test_the_newest_are_looked_at_without_taking_them(redis: Redis) -> None:
    stream = SampleStream(redis, "main")
    assert await stream.held() == StreamSize(0, 0)
    assert await stream.newest(3) == []
    for value in range(10):
        await stream.add(entry(value))
    newest = await stream.newest(3)
    assert [float(each.samples.values.sum()) for each in newest] == [7, 8, 9]
    everything = [entry(value) for value in range(10)]
    assert await stream.held() == StreamSize(10, await size_of(redis, *everything))
    await stream.let_go(newest[0].id)
    assert await stream.held() == StreamSize(2, await size_of(redis, *everything[8:]))
