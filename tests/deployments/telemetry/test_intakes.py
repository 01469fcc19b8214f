"""What was posted comes into the store, or is kept where somebody finds it."""

from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.sources import PushSource, SourcesConfig
from deployments.telemetry import intakes, place
from deployments.telemetry.entity_limit import EntityLimit
from features.store import PUBLISHED_SECONDS
from features.telemetry import tables
from features.telemetry.by_source import sources_present
from features.telemetry.columns import Telemetry
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.errors import QueryRejectedError
from tests.deployments.telemetry.posting import MINUTE, Posting, a_minute


@pytest.fixture
async def posting(measured: EmbeddedClickhouse, redis: Redis) -> Posting:
    return Posting(measured, redis)


async def test_a_store_that_was_full_for_a_while_loses_nothing(
    posting: Posting, measured: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Telemetry] = []
    room = 3

    def filling(store: Any, telemetry: Telemetry, **named: Any) -> None:
        if len(stored) >= room:
            raise QueryRejectedError("planted: no space left")
        stored.append(telemetry)
        tables.append(store, telemetry, **named)

    monkeypatch.setattr(place, "append", filling)
    for at in range(10):
        await posting.post("billing", ts=a_minute() + at * MINUTE)
    await posting.drain.step()
    for _ in range(3):
        with pytest.raises(QueryRejectedError, match="no space left"):
            await posting.drain.step()
    assert sources_present(measured) == {"cron": 3}
    room = 100
    await posting.drain.step()
    assert sources_present(measured) == {"cron": 10}
    assert posting.dead_letters == 0
    assert await posting.intake.read(10) == []


async def test_names_without_end_are_complained_of_and_features_expire(
    posting: Posting, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EntityLimit.__init__, "__defaults__", (2,))
    await posting.post("a", "b", "c", ts=a_minute())
    await posting.drain.step()
    posted = posting.drain.by_source["cron"]
    assert posted.rows == 2
    assert [each.fault for each in posted.complaints] == ["out of bounds"]
    written = [each async for each in redis.scan_iter("*feature*")]
    assert len(written) == 5  # a row and a vector of each of two, and the layout of vectors
    for name in written:
        assert PUBLISHED_SECONDS - 60 < await redis.ttl(name) <= PUBLISHED_SECONDS


async def test_an_entry_is_refused_that_fails_where_others_do_not(
    posting: Posting, measured: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(store: Any, telemetry: Telemetry, **named: Any) -> None:
        if telemetry.entity[0] == "odd":
            raise QueryRejectedError("planted")
        tables.append(store, telemetry, **named)

    monkeypatch.setattr(place, "append", picky)
    await posting.post("odd", ts=a_minute())
    await posting.post("billing", ts=a_minute())
    await posting.drain.step()
    assert posting.dead_letters == 0  # the store may have had no room for the first one
    await posting.drain.step()
    assert posting.dead_letters == 1
    assert await posting.intake.read(10) == []
    assert sources_present(measured) == {"cron": 1}


async def test_bad_entries_at_the_head_keep_none_behind_them(
    posting: Posting, measured: EmbeddedClickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(store: Any, telemetry: Telemetry, **named: Any) -> None:
        if telemetry.entity[0] == "odd":
            raise QueryRejectedError("planted")
        tables.append(store, telemetry, **named)

    monkeypatch.setattr(place, "append", picky)
    monkeypatch.setattr(intakes, "ENTRIES", 3)
    for at in range(7):
        await posting.post("odd", ts=a_minute() + at * MINUTE)
    await posting.post("billing", ts=a_minute())
    for _ in range(2):
        with pytest.raises(QueryRejectedError, match="planted"):
            await posting.drain.step()
    assert await posting.drain.step()
    assert sources_present(measured) == {"cron": 1}
    while await posting.drain.step():
        continue
    assert posting.dead_letters == 7
    assert await posting.intake.read(10) == []


async def test_a_cadence_that_is_changed_holds_for_the_next_post(posting: Posting) -> None:
    for cadence in (60, 3600):
        posting.config = SourcesConfig(named={"cron": PushSource(cadence_seconds=cadence)})
        await posting.post("billing", ts=a_minute() // 3600 * 3600)
        await posting.drain.step()
        (row,) = (await posting.features.latest(["billing"])).values()
        assert row.cadence_seconds == cadence
