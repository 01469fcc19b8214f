"""Replays the whole ledger: what is drained, what is not, and what is kept as a dead letter."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.archive import Archive
from observability.ledger.entry import Entry
from observability.ledger.undrained import Undrained
from observability.ledger.verify import Head, Verification, verify_ordered

Progress = Callable[[int, int], None]
"""Hears how many entries were read, and of how many; the second is an estimate."""


async def audit(
    redis: Redis,
    store: Clickhouse,
    *,
    pinned: Mapping[str, Head],
    stream: str | None = None,
    progress: Progress = lambda _read, _of: None,
) -> Verification:
    """Verify every chain; `pinned` are heads noted down earlier, which must still be there."""
    archive = Archive(store)
    undrained = Undrained(redis, archive, stream=stream)
    # Redis first: what is drained meanwhile is then seen twice, and not missed.
    await undrained.find()
    in_redis, count = undrained.entries(asyncio.get_running_loop()), undrained.count
    verified = await asyncio.to_thread(_verify, archive, in_redis, count, pinned, progress)
    verified.faults += undrained.damaged
    return verified


def _verify(
    archive: Archive,
    in_redis: Iterator[Entry],
    count: int,
    pinned: Mapping[str, Head],
    progress: Progress,
) -> Verification:
    merged = heapq.merge(archive.entries(), in_redis, key=_place)
    total = archive.count() + count
    return verify_ordered(_counted(merged, total, progress), pinned)


def _counted(entries: Iterable[Entry], total: int, progress: Progress) -> Iterator[Entry]:
    for read, entry in enumerate(entries, 1):
        progress(read, max(read, total))
        yield entry


def _place(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
