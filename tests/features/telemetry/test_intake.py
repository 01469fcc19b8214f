import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from features.errors import IntakeFullError
from features.sources.simulator.platform import Platform
from features.sources.source import Complaint, Gathered
from features.telemetry import intake as intake_module
from features.telemetry.columns import Telemetry
from features.telemetry.intake import ENTRY_ROWS, Intake, Waiting, packed_entries
from features.telemetry.packed import unpack
from features.telemetry.tables import append, create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from settings.redis_connection import open_redis
from tests.redis_server import RedisServer

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC
HOUR = Platform(1).minutes("auth", NOON, NOON + 3600)
ENTRIES = packed_entries(Gathered(HOUR))
Key = tuple[str, int, str, int]


class Table:
    """Keeps one of equal keys, as the measurements in ClickHouse do."""

    def __init__(self) -> None:
        self.rows: dict[Key, float] = {}

    def insert(self, waiting: Waiting) -> None:
        rows = waiting.gathered.telemetry
        for entity, ts, load in zip(rows.entity, rows.ts, rows.load, strict=True):
            self.rows[str(entity), int(ts), waiting.source, waiting.known_ms] = float(load)


async def test_what_is_added_is_read_until_it_is_done(redis: Redis) -> None:
    intake = Intake(redis)
    complaint = Complaint("gap", 1, "one")
    await intake.add("agent", packed_entries(Gathered(HOUR, (complaint,))))
    for _ in range(2):
        (waiting,) = await intake.read(10)
        assert waiting.source == "agent"
        assert waiting.gathered.complaints == (complaint,)
        np.testing.assert_array_equal(waiting.gathered.telemetry.load, HOUR.load)
    await intake.done([waiting])
    assert await intake.read(10) == []


async def test_the_known_time_is_when_redis_took_it(redis: Redis) -> None:
    seconds, micros = await redis.time()
    await Intake(redis).add("agent", ENTRIES)
    (waiting,) = await Intake(redis).read(1)
    assert 0 <= waiting.known_ms - (seconds * 1000 + micros // 1000) < 60_000


async def test_a_crash_between_insert_and_done_doubles_nothing(
    redis: Redis, tmp_path: Path
) -> None:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_measurements(store)

        def insert(each: Waiting) -> None:
            rows = each.gathered.telemetry
            append(store, rows, source=each.source, known_ms=each.known_ms)

        await Intake(redis).add("agent", ENTRIES)
        (waiting,) = await Intake(redis).read(1)
        insert(waiting)
        # Here it dies, and another one comes.
        after = Intake(redis)
        (again,) = await after.read(1)
        insert(again)
        await after.done([again])
        assert await after.read(1) == []
        # A later post of the same is another row: what was known when can be read again.
        await after.add("agent", ENTRIES)
        insert((await after.read(1))[0])
        (found,) = store.query("SELECT count() AS rows, max(load) AS load FROM measurements FINAL")
        assert found == {"rows": 2 * len(HOUR), "load": HOUR.load.max()}


async def test_two_gateways_at_once_lose_nothing_and_share_no_known_time(
    redis: Redis, redis_server: RedisServer
) -> None:
    other = open_redis(redis_server.url)
    one, two = Intake(redis), Intake(other)
    await asyncio.gather(
        *(each.add(name, ENTRIES) for _ in range(40) for each, name in ((one, "a"), (two, "a")))
    )
    found = await Intake(redis).read(100)
    assert len(found) == 80
    known = [each.known_ms for each in found]
    assert sorted(set(known)) == known
    table = Table()
    for each in found:
        table.insert(each)
    assert len(table.rows) == 80 * len(HOUR)
    await other.aclose()


async def test_times_rise_also_when_the_stream_was_emptied_and_the_clock_stands_behind(
    redis: Redis,
) -> None:
    intake = Intake(redis)
    await redis.xadd(intake.name, {"x": "y"}, id="9999999999999-0")
    await redis.xdel(intake.name, "9999999999999-0")
    await intake.add("a", ENTRIES)
    (waiting,) = await intake.read(1)
    assert waiting.known_ms == 10_000_000_000_000


async def test_many_rows_are_cut_into_entries_that_come_back_whole(redis: Redis) -> None:
    days = Platform(1).minutes("auth", NOON, NOON + 60 * (2 * ENTRY_ROWS + 1))
    complaint = Complaint("gap", 1, "one")
    entries = packed_entries(Gathered(days, (complaint,)))
    assert len(entries) == 3
    await Intake(redis).add("a", entries)
    found = await Intake(redis).read(10)
    again = Telemetry.concat([each.gathered.telemetry for each in found])
    np.testing.assert_array_equal(again.ts, days.ts)
    assert [each.gathered.complaints for each in found] == [(complaint,), (), ()]


async def test_a_full_queue_takes_all_of_a_body_or_nothing(redis: Redis) -> None:
    size = len(ENTRIES[0])
    intake = Intake(redis, most_bytes=3 * size)
    await intake.add("a", ENTRIES * 2)
    with pytest.raises(IntakeFullError) as full:
        await intake.add("a", ENTRIES * 2)
    assert f"2 entries with {2 * size} bytes" in str(full.value)
    assert full.value.retry_after_s > 0
    found = await intake.read(10)
    assert len(found) == 2
    await intake.done(found[:1])
    await intake.done(found[:1])  # that it is told twice makes no more room
    with pytest.raises(IntakeFullError):
        await intake.add("a", ENTRIES * 3)
    await intake.add("a", ENTRIES * 2)


async def test_a_queue_of_many_small_entries_is_full_too(redis: Redis) -> None:
    intake = Intake(redis, most_entries=2)
    await intake.add("a", ENTRIES * 2)
    with pytest.raises(IntakeFullError):
        await intake.add("a", ENTRIES)
    await intake.done(await intake.read(10))
    await intake.add("a", ENTRIES)


async def test_an_unreadable_entry_is_set_aside_and_its_neighbours_go_on(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    counted: list[int] = []
    intake = Intake(redis, on_dead_letter=lambda: counted.append(1))
    await intake.add("a", ENTRIES)
    await intake.add("b", [b"\x07 from another release"])
    await redis.xadd(intake.name, {"something": "else"})
    await intake.add("c", ENTRIES)
    with caplog.at_level(logging.ERROR):
        found = await intake.read(10)
    assert [each.source for each in found] == ["a", "c"]
    assert len(counted) == 2
    assert caplog.text.count("dead letter") == 2
    kept: Any = await redis.xrange(f"{intake.name}:damaged")
    assert kept[0][1][b"rows"] == b"\x07 from another release"
    assert b"format 7" in kept[0][1][b"why"]
    assert kept[1][1][b"something"] == b"else"
    await intake.done(found)
    assert await redis.xlen(intake.name) == 0


async def test_one_that_is_set_aside_twice_is_kept_once(redis: Redis) -> None:
    intake = Intake(redis)
    await intake.set_aside("5-0", {b"rows": b"x"}, "it was refused")
    await intake.set_aside("5-0", {b"rows": b"x"}, "it was refused")
    await intake.set_aside("3-0", {b"rows": b"y"}, "it was refused")
    kept: Any = await redis.xrange(f"{intake.name}:damaged")
    assert [fields[b"rows"] for _, fields in kept] == [b"x", b"y"]


async def test_what_was_added_survives_a_kill_of_redis(redis_server: RedisServer) -> None:
    async with open_redis(redis_server.url) as before:
        await Intake(before).add("a", ENTRIES)
    redis_server.kill()
    redis_server.start()
    async with open_redis(redis_server.url) as after:
        (waiting,) = await Intake(after).read(10)
        assert len(waiting.gathered.telemetry) == len(HOUR)


async def test_entries_are_unpacked_beside_the_loop(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def noted(data: bytes) -> Gathered:
        threads.append(threading.get_ident())
        return unpack(data)

    monkeypatch.setattr(intake_module, "unpack", noted)
    await Intake(redis).add("agent", ENTRIES)
    assert len(await Intake(redis).read(10)) == len(threads) == 1
    assert threading.get_ident() not in threads
