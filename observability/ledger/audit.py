"""Replays the whole ledger, what is drained and what is not."""

import asyncio
import heapq
from collections.abc import Iterable, Mapping

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.archive import Archive
from observability.ledger.entry import Entry
from observability.ledger.stream import LedgerStream
from observability.ledger.verify import Head, Verification, verify_ordered


async def audit(
    redis: Redis, store: Clickhouse, *, pinned: Mapping[str, Head], stream: str | None = None
) -> Verification:
    """Verify every chain; `pinned` are heads noted down earlier, which must still be there."""
    # The stream first: what is drained meanwhile is then seen twice, and not missed.
    undrained = [entry async for entry in LedgerStream(redis, name=stream).entries()]
    undrained.sort(key=_place)
    return await asyncio.to_thread(_verify, Archive(store), undrained, pinned)


def _verify(
    archive: Archive, undrained: Iterable[Entry], pinned: Mapping[str, Head]
) -> Verification:
    return verify_ordered(heapq.merge(archive.entries(), undrained, key=_place), pinned)


def _place(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
