"""Events on their way through a real Redis into a real engine, with a drain that dies anywhere."""

import logging
from typing import Any

import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.timeline import drain as drain_module
from observability.timeline import stream as stream_module
from observability.timeline.drain import TimelineDrain
from observability.timeline.event import Event
from observability.timeline.store import read
from observability.timeline.stream import TimelineStream, stream_keys

AT = 1_772_461_800.0


def events(n: int, first: int = 0) -> list[Event]:
    return [Event("deploy", AT + at, "orders", "prod") for at in range(first, first + n)]


def drain(redis: Redis, store: Clickhouse) -> TimelineDrain:
    return TimelineDrain(redis, store, lambda: AT + 100)


def times(store: Clickhouse) -> list[float]:
    return [each["time"].timestamp() - AT for each in read(store, 1000, kinds=["deploy"]).events]


async def test_what_is_noted_is_stored_and_let_go_of(redis: Redis, store: Clickhouse) -> None:
    await TimelineStream(redis).add(events(3))
    assert await drain(redis, store).step() is False
    assert times(store) == [2, 1, 0]
    assert read(store, 1).events[0]["known"].timestamp() == AT + 100
    assert await redis.xlen(stream_keys(redis)[0]) == 0
    assert await drain(redis, store).step() is False


async def test_it_goes_on_at_once_while_there_is_more(
    redis: Redis, store: Clickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain_module, "CHUNK", 2)
    await TimelineStream(redis).add(events(5))
    one = drain(redis, store)
    assert [await one.step() for _ in range(3)] == [True, True, False]
    assert times(store) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("dies_in", ["store", "done"])
async def test_one_that_dies_loses_nothing_and_doubles_nothing(
    redis: Redis, store: Clickhouse, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    await TimelineStream(redis).add(events(3))

    class KilledError(Exception):
        pass

    def die(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        if dies_in == "store":
            patch.setattr(drain_module, "append", die)
        else:
            patch.setattr(TimelineStream, "done", die)
        with pytest.raises(KilledError):
            await drain(redis, store).step()
    await TimelineStream(redis).add(events(2, first=2))  # one of them a second time
    await drain(redis, store).step()
    assert times(store) == [3, 2, 1, 0]
    store.execute("OPTIMIZE TABLE timeline FINAL")
    assert store.query("SELECT count() AS n FROM timeline") == [{"n": 4}]


async def test_a_message_that_is_no_event_holds_up_no_other(
    redis: Redis, store: Clickhouse, caplog: pytest.LogCaptureFixture
) -> None:
    stream = TimelineStream(redis)
    await stream.add(events(1))
    await redis.xadd(stream_keys(redis)[0], {"e": b'{"kind": "deploy"}'})
    await redis.xadd(stream_keys(redis)[0], {"other": b"field"})
    await stream.add(events(1, first=1))
    with caplog.at_level(logging.ERROR):
        await drain(redis, store).step()
    assert times(store) == [1, 0]
    assert len(caplog.records) == 2
    assert await redis.xlen(stream_keys(redis)[0]) == 0


async def test_a_stream_that_was_full_tells_once_how_many_it_let_go(
    redis: Redis, store: Clickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"'MAXLEN', '=', {stream_module.MOST})" in stream_module._ADD
    small = stream_module._ADD.replace(str(stream_module.MOST), "4")
    monkeypatch.setattr(stream_module, "_ADD", small)
    stream = TimelineStream(redis)
    await stream.add(events(7))
    await drain(redis, store).step()
    assert times(store) == [6, 5, 4, 3]
    await stream.add(events(2, first=7))
    await drain(redis, store).step()
    assert [each["details"] for each in told(store)] == [{"lost": 3}]
    await stream.add(events(5, first=9))
    await drain(redis, store).step()
    assert [each["details"] for each in told(store)] == [{"lost": 4}, {"lost": 3}]


async def test_what_was_lost_is_told_once_though_the_drain_dies_behind_it(
    redis: Redis, store: Clickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await TimelineStream(redis).add(events(2))
    await redis.set(stream_keys(redis)[1], 3)
    with monkeypatch.context() as patch:
        patch.setattr(TimelineStream, "done", None)
        with pytest.raises(TypeError):
            await drain(redis, store).step()
    await redis.delete(drain(redis, store)._told_key)  # it died even before it noted that
    await drain(redis, store).step()
    assert len(told(store)) == 1


def told(store: Clickhouse) -> list[dict[str, Any]]:
    return read(store, 100, kinds=["events_lost"]).events
