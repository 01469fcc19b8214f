"""The stream's latest rows by their ids: complete, bounded, and no message read twice."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger import recent as recent_module
from observability.ledger import stream as stream_module
from observability.ledger.decision import Decision
from observability.ledger.drain import Drain
from observability.ledger.lookup import Lookup
from observability.ledger.recent import RecentRows
from observability.ledger.stream import LedgerStream
from observability.ledger.writer import LedgerWriter
from tests.waiting import PATIENCE_SECONDS

Decide = Callable[..., list[Decision]]


async def write(client: Redis, folder: Path, *batches: list[Decision], writer: str = "w") -> None:
    async with LedgerWriter(client, writer=writer, spool_dir=folder, clock=time.time) as pen:
        for batch in batches:
            await pen.append(batch)


async def test_each_message_is_read_once(
    client: Redis, tmp_path: Path, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = LedgerStream(client)
    read, seen = stream.read, 0

    async def counted(after: str | None, count: int) -> Any:
        nonlocal seen
        found = await read(after, count)
        seen += len(found)
        return found

    monkeypatch.setattr(stream, "read", counted)
    recent = RecentRows(stream)
    for turn in range(5):
        batch = decide(2)
        await write(client, tmp_path, batch, writer=f"w-{turn}")
        await recent.refresh()
        await recent.refresh()
        assert [recent.get(each.decision_id) for each in batch] == [each.row for each in batch]
    assert seen == 2 * 4  # the first turn's are what it begins with


async def test_of_what_came_in_hours_only_the_latest_part_is_read(
    client: Redis, tmp_path: Path, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where nobody drains the stream, and nobody looks anything up."""
    monkeypatch.setattr(recent_module, "CHUNK", 4)
    stream = LedgerStream(client)
    recent = RecentRows(stream, most_bytes=10_000)
    await write(client, tmp_path, decide(1))
    await recent.refresh()
    batches = [decide(1, pad="x" * 1000) for _ in range(100)]
    await write(client, tmp_path, *batches, writer="v")
    read = 0
    add = stream_module._messages

    def counted(found: Any) -> Any:
        nonlocal read
        messages = add(found)
        read += sum(len(message.data) for message in messages)
        return messages

    monkeypatch.setattr(stream_module, "_messages", counted)
    await recent.refresh()
    assert read < 40_000
    fresh = RecentRows(stream, most_bytes=10_000)
    await fresh.refresh()
    assert recent.oldest == fresh.oldest
    assert recent.get(batches[-1][0].decision_id) == batches[-1][0].row


async def test_large_messages_are_read_a_few_at_a_time(
    client: Redis, tmp_path: Path, decide: Decide
) -> None:
    """Redis answers nobody while it copies out what was asked for."""
    await write(client, tmp_path, *[decide(300) for _ in range(20)])
    await client.config_resetstat()
    recent = RecentRows(LedgerStream(client))
    await recent.refresh()
    assert len(recent._kept) == 21
    asked = (await client.info("commandstats"))["cmdstat_xrevrange"]["calls"]
    assert asked >= 4


async def test_a_redis_that_hangs_is_waited_for_by_one_and_not_by_each(
    redis_server: Any,
    client: Redis,
    tmp_path: Path,
    decide: Decide,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await write(client, tmp_path, decide(1))
    stream = LedgerStream(client)
    recent = RecentRows(stream)
    await recent.refresh()
    read, tries = stream.read, 0

    async def counted(after: str | None, count: int) -> Any:
        nonlocal tries
        tries += 1
        return await read(after, count)

    monkeypatch.setattr(stream, "read", counted)
    monkeypatch.setattr(stream_module, "BULK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(recent_module, "TRY_AGAIN_SECONDS", PATIENCE_SECONDS)
    redis_server.freeze()
    for _ in ("those who wait for it", "those who come later"):
        asked = await asyncio.gather(*(recent.refresh() for _ in range(8)), return_exceptions=True)
        assert [type(each) for each in asked] == [TimeoutError] * 8
    assert tries == 1
    monkeypatch.setattr(recent, "_try_again_at", 0.0)  # the moment is over
    asked = await asyncio.gather(*(recent.refresh() for _ in range(8)), return_exceptions=True)
    assert [type(each) for each in asked] == [TimeoutError] * 8
    assert tries == 2
    redis_server.thaw()
    monkeypatch.setattr(recent, "_try_again_at", 0.0)
    monkeypatch.setattr(stream_module, "BULK_TIMEOUT_S", PATIENCE_SECONDS)
    await recent.refresh()
    assert tries == 3
    await recent.refresh()
    assert tries == 4


async def test_it_keeps_no_more_than_it_may_and_what_it_lacks_is_found_all_the_same(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    batches = [decide(4, pad="x" * 1000) for _ in range(20)]
    await write(client, tmp_path, *batches)
    lookup = Lookup(client, store)
    lookup._recent = recent = RecentRows(LedgerStream(client), most_bytes=10_000)
    await recent.refresh()
    assert recent._bytes <= 10_000
    ids = [each.decision_id for batch in batches for each in batch]
    assert 0 < sum(recent.get(each) is not None for each in ids) < 12
    found = await lookup.rows(ids)
    assert found.rows.keys() | set(found.unsearched) == set(ids)
    assert found.unsearched
    assert found.trouble is None
    rows = dict(found.rows)
    for each in found.unsearched:
        rows |= (await lookup.search(each, PATIENCE_SECONDS)).rows
    assert rows == {each.decision_id: each.row for batch in batches for each in batch}


async def test_what_was_drained_and_trimmed_between_two_looks_is_found(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    first, second, third = decide(1), decide(1), decide(1)
    await write(client, tmp_path, first)
    lookup = Lookup(client, store)
    assert await lookup.find(first[0].decision_id) is not None
    await write(client, tmp_path, second, writer="v")
    await Drain(client, store, margin_s=-3600).step()
    await write(client, tmp_path, third, writer="u")
    found = await lookup.rows([each[0].decision_id for each in (first, second, third)])
    assert len(found.rows) == 3


async def test_a_redis_that_began_anew_with_lower_ids_is_read_anew(
    client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    await write(client, tmp_path, decide(1))
    (message, *_) = await LedgerStream(client).read(None, 1)
    await client.xadd("ballast:ledger", {"e": message.data}, id="99999999999999-0")
    lookup = Lookup(client, store)
    await lookup.find("x")
    await client.delete("ballast:ledger")
    (after,) = decide(1)
    await write(client, tmp_path, [after], writer="v")
    assert await lookup.find(after.decision_id) is not None
    assert await lookup.find(after.decision_id) is not None


async def test_a_lookup_of_many_tells_which_of_them_may_exist_while_redis_is_away(
    redis_server: Any, client: Redis, store: Clickhouse, tmp_path: Path, decide: Decide
) -> None:
    (known,) = decide(1)
    await write(client, tmp_path, [known])
    await Drain(client, store, margin_s=-3600).step()
    lookup = Lookup(client, store)
    redis_server.kill()
    found = await lookup.rows([known.decision_id, "other"])
    assert found.rows == {known.decision_id: known.row}
    assert "Redis cannot be reached" in str(found.trouble)
