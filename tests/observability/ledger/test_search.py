"""A search of the long part of the stream: one walk for all, and for nobody who left."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.drain import Drain
from observability.ledger.entry import NO_HASH, Header, encode, hash_of, seal
from observability.ledger.lookup import Lookup
from observability.ledger.recent import RecentRows
from observability.ledger.search import PIECE, StreamSearch
from observability.ledger.stream import LedgerStream
from tests.waiting import until

MESSAGES = 10 * PIECE
Decide = Callable[..., list[Decision]]


async def filled(client: Redis, *, every_ms: int = 1) -> list[list[Decision]]:
    """Write a message of two decisions each so many milliseconds, the last one now."""
    now_ms = int(time.time() * 1000) - MESSAGES * every_ms
    ids = DecisionIds(lambda: (now_ms + 0.5) / 1000, os.urandom)
    pipe, written, before = client.pipeline(transaction=False), list[list[Decision]](), NO_HASH
    for seq in range(1, MESSAGES + 1):
        now_ms += every_ms
        batch = [Decision(each, orjson.dumps({"decision_id": each})) for each in ids.take(2)]
        sealed, header = seal(batch), Header("w", seq, now_ms, 2)
        after = hash_of(before, header, sealed.root)
        data = encode(header, before, after, sealed.body)
        pipe.xadd("ballast:ledger", {"e": data}, id=f"{now_ms + 2}-0")
        written.append(batch)
        before = after
    await pipe.execute()
    return written


class Counted(LedgerStream):
    """A stream that counts what is read of it, and stops in front of a message when it must."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.seen = 0
        self.stop_at: int | None = None
        self.go_on = asyncio.Event()

    async def read(self, after: str | None, count: int) -> Any:
        if self.stop_at is not None and self.seen >= self.stop_at:
            await self.go_on.wait()
        found = await super().read(after, count)
        self.seen += len(found)
        return found

    async def _read_back(self, end: str, count: int) -> Any:
        found = await super()._read_back(end, count)
        self.seen += len(found)
        return found


def lookup_of(
    client: Redis, store: Clickhouse, recent_bytes: int = 2_000
) -> tuple[Lookup, Counted]:
    """Give a lookup that keeps a few messages only."""
    lookup, stream = Lookup(client, store), Counted(client)
    lookup._stream = stream
    lookup._recent = RecentRows(stream, recent_bytes)
    lookup._search = StreamSearch(stream, lambda: lookup._recent.oldest)
    return lookup, stream


async def test_what_is_found_waits_for_nothing_that_is_unknown(
    client: Redis, store: Clickhouse
) -> None:
    fresh = (await filled(client))[-1][0]
    lookup, stream = lookup_of(client, store)
    await lookup.rows([fresh.decision_id])
    before = stream.seen
    unknown = [f"unknown {n}" for n in range(8)]
    found = await lookup.rows([*unknown, fresh.decision_id])
    assert found.rows == {fresh.decision_id: fresh.row}
    assert found.unsearched == tuple(unknown)
    assert stream.seen - before <= 1


async def test_one_walk_is_enough_for_all_who_ask_at_once(client: Redis) -> None:
    written = await filled(client)
    stream = Counted(client)
    search = StreamSearch(stream, lambda: None)
    unknown = [search.find(f"unknown {n}") for n in range(20)]
    assert await asyncio.gather(*unknown) == [None] * 20
    assert stream.seen == MESSAGES
    assert await search.find(written[3][1].decision_id) == written[3][1].row


async def test_who_comes_late_has_seen_all_when_the_walk_is_back_there(client: Redis) -> None:
    written = await filled(client)
    stream = Counted(client)
    search = StreamSearch(stream, lambda: None)
    stream.stop_at = MESSAGES // 2
    first = asyncio.create_task(search._everywhere("unknown"))
    await until(lambda: stream.seen >= MESSAGES // 2)
    behind, ahead = written[1][0], written[-1][1]
    late = [
        asyncio.create_task(search._everywhere(each))
        for each in ("unknown too", behind.decision_id, ahead.decision_id, "unknown")
    ]
    await asyncio.sleep(0)
    stream.go_on.set()
    assert await first is None
    assert await asyncio.gather(*late) == [None, behind.row, ahead.row, None]
    assert MESSAGES < stream.seen < 2 * MESSAGES
    assert search._walk is None or not search._seekers


async def test_nobody_walks_for_those_who_left(client: Redis) -> None:
    await filled(client)
    stream = Counted(client)
    search = StreamSearch(stream, lambda: None)
    stream.stop_at = PIECE
    asking = asyncio.create_task(search.find("unknown"))
    await until(lambda: stream.seen >= PIECE)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    stream.go_on.set()
    await until(lambda: search._walk is None)
    assert stream.seen <= 3 * PIECE


async def test_a_search_ends_where_the_recent_rows_begin(client: Redis, store: Clickhouse) -> None:
    await filled(client)
    lookup, stream = lookup_of(client, store, recent_bytes=MESSAGES * 150)
    assert (await lookup.rows(["unknown"])).unsearched == ("unknown",)
    kept, before = len(lookup._recent._kept), stream.seen
    assert 2 * PIECE < kept < MESSAGES - PIECE
    found = await lookup.search("unknown", 60.0)
    assert (found.rows, found.trouble) == ({}, None)
    assert MESSAGES - kept <= stream.seen - before <= MESSAGES - kept + PIECE


async def test_a_decision_is_found_by_the_time_in_its_id(client: Redis) -> None:
    written = await filled(client, every_ms=1000)
    stream = Counted(client)
    search = StreamSearch(stream, lambda: None)
    for batch in (written[0], written[MESSAGES // 2], written[-1]):
        before = stream.seen
        assert await search.find(batch[1].decision_id) == batch[1].row
        assert stream.seen - before <= PIECE


async def test_a_search_that_is_not_done_in_time_says_so_and_ends(
    client: Redis, store: Clickhouse
) -> None:
    await filled(client)
    lookup, stream = lookup_of(client, store)
    assert (await lookup.rows(["unknown"])).unsearched == ("unknown",)
    stream.stop_at = 0
    found = await lookup.search("unknown", 0.05)
    assert "looked through within 0.05 s" in str(found.trouble)
    stream.go_on.set()
    await until(lambda: lookup._search._walk is None)


async def test_all_who_wait_hear_of_a_redis_that_goes_away(
    redis_server: Any, client: Redis, store: Clickhouse
) -> None:
    await filled(client)
    lookup, stream = lookup_of(client, store)
    await lookup.rows(["unknown"])
    stream.stop_at = stream.seen + PIECE
    asking = [asyncio.create_task(lookup.search(f"unknown {n}", 60.0)) for n in range(3)]
    await until(lambda: stream.seen >= (stream.stop_at or 0))
    redis_server.kill()
    stream.go_on.set()
    for found in await asyncio.gather(*asking):
        assert "Redis cannot be reached" in str(found.trouble)


async def test_what_is_drained_needs_no_search(client: Redis, store: Clickhouse) -> None:
    """The stream keeps it for a while, and at many rows a second that is more than the recent."""
    written = await filled(client)
    await Drain(client, store, margin_s=3600).step()
    assert await client.xlen("ballast:ledger") == MESSAGES
    lookup, stream = lookup_of(client, store)
    await lookup.rows([written[-1][0].decision_id])
    before = stream.seen
    found = await lookup.rows([written[0][0].decision_id, "unknown"])
    assert found.rows == {written[0][0].decision_id: written[0][0].row}
    assert (found.trouble, found.unsearched) == (None, ())
    assert stream.seen - before <= 1


async def test_what_is_drained_in_front_of_the_search_is_found(
    client: Redis, store: Clickhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (await filled(client))[0][0]
    lookup, _ = lookup_of(client, store)
    assert (await lookup.rows([old.decision_id])).unsearched == (old.decision_id,)
    find = lookup._search.find

    async def drained_first(decision_id: str) -> bytes | None:
        await Drain(client, store, margin_s=-3600).step()
        return await find(decision_id)

    monkeypatch.setattr(lookup._search, "find", drained_first)
    assert (await lookup.search(old.decision_id, 60.0)).rows == {old.decision_id: old.row}


async def test_a_redis_that_began_anew_is_searched_from_its_beginning(
    client: Redis, store: Clickhouse
) -> None:
    written = await filled(client)
    await client.set("ballast:ledger:drained", "99999999999999-0")
    lookup, _ = lookup_of(client, store)
    found = await lookup.find(written[0][0].decision_id)
    assert found == orjson.loads(written[0][0].row)
