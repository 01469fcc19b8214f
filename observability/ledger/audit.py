"""Replays the whole ledger: what is drained, what is not, and what is kept as a dead letter."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.archive import Archive
from observability.ledger.dead_letters import DeadLetters
from observability.ledger.entry import Entry
from observability.ledger.stream import LedgerStream, Message, readable
from observability.ledger.verify import Fault, Head, Verification, verify_ordered

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
    messages = LedgerStream(redis, name=stream)
    letters = DeadLetters(redis, messages.name)
    # The stream first: what is drained or set aside meanwhile is then seen twice, and not missed.
    # A dead letter may be sound, and only not storable: its chain then goes on through it.
    found = [each async for each in messages.messages()]
    found += [each async for each in letters.messages()]
    in_redis, damaged = _read(found)
    verified = await asyncio.to_thread(_verify, Archive(store), in_redis, pinned, progress)
    verified.faults += damaged
    return verified


def _read(messages: Iterable[Message]) -> tuple[list[Entry], list[Fault]]:
    entries, damaged = list[Entry](), dict[bytes, Fault]()
    for message in messages:
        entry = readable(message)
        if entry is not None:
            entries.append(entry)
        elif message.data not in damaged:
            why = f"the message {message.id} in Redis is no entry that can be read"
            damaged[message.data] = Fault("damaged", "", 0, why)
    return sorted(entries, key=_place), list(damaged.values())


def _verify(
    archive: Archive, in_redis: list[Entry], pinned: Mapping[str, Head], progress: Progress
) -> Verification:
    merged = heapq.merge(archive.entries(), in_redis, key=_place)
    total = archive.count() + len(in_redis)
    return verify_ordered(_counted(merged, total, progress), pinned)


def _counted(entries: Iterable[Entry], total: int, progress: Progress) -> Iterator[Entry]:
    for read, entry in enumerate(entries, 1):
        progress(read, max(read, total))
        yield entry


def _place(entry: Entry) -> tuple[str, int]:
    return entry.header.writer, entry.header.seq
