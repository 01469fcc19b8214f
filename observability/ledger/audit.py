"""Replays the whole ledger: what is drained, what is not, and what is kept as a dead letter."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger import noted_heads
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
    count = _Count(progress)
    in_redis = undrained.entries(asyncio.get_running_loop(), count.tell)
    verified = await asyncio.to_thread(_verify, archive, in_redis, undrained.count, pinned, count)
    verified.faults += undrained.damaged
    return verified


async def audit_and_note(redis: Redis, store: Clickhouse, progress: Progress) -> Verification:
    """Audit against the heads of the last good audit, and note those of this one if it is good."""
    found = await audit(redis, store, pinned=await noted_heads.read(redis), progress=progress)
    if found.whole:
        await noted_heads.note(redis, found.heads)
    return found


class _Count:
    """Counts what is read, and tells it; the progress may end the audit by raising."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._read = 0
        self._of = 0

    def tell(self) -> None:
        self._progress(self._read, max(self._read, self._of))

    def each(self, entries: Iterable[Entry], of: int) -> Iterator[Entry]:
        self._of = of
        for entry in entries:
            self._read += 1
            self.tell()
            yield entry


def _verify(
    archive: Archive,
    in_redis: Iterator[Entry],
    undrained: int,
    pinned: Mapping[str, Head],
    count: _Count,
) -> Verification:
    merged = heapq.merge(archive.entries(), in_redis, key=_position)
    return verify_ordered(count.each(merged, archive.count() + undrained), pinned)


def _position(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
