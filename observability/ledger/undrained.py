"""The entries that are in Redis, in the order of their chains, a few in memory at a time.

While nobody drains it the stream may hold more than fits in memory. So it is read twice: first for
where each entry stands, then for the entries themselves, in the order in which they are wanted.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from redis.asyncio import Redis

from observability.ledger.archive import Archive
from observability.ledger.dead_letters import DeadLetters
from observability.ledger.entry import Entry
from observability.ledger.stream import LedgerStream, Message, readable
from observability.ledger.verify import Fault

# Entries are a few kilobytes as a rule, and a megabyte at most.
PIECE = 64


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    writer: str
    seq: int
    stream: str
    id: str


class Undrained:
    """What `find` has found; `entries` blocks, and is for a thread beside the loop."""

    def __init__(self, redis: Redis, archive: Archive, *, stream: str | None = None) -> None:
        self._stream = LedgerStream(redis, name=stream)
        self._letters = DeadLetters(redis, self._stream.name)
        self._archive = archive
        self._places: list[_Place] = []
        self._damaged: dict[bytes, Fault] = {}

    @property
    def count(self) -> int:
        return len(self._places)

    @property
    def damaged(self) -> list[Fault]:
        """Give what cannot be read, once each."""
        return list(self._damaged.values())

    async def find(self) -> None:
        # The stream first: what is set aside meanwhile is then seen twice, and not missed.
        # A dead letter may be sound, and only not storable: its chain then goes on through it.
        for stream in (self._stream, self._letters.stream):
            async for message in stream.messages(PIECE):
                self._note(message, stream.name)
        self._places.sort()

    def entries(self, loop: asyncio.AbstractEventLoop) -> Iterator[Entry]:
        """Give each entry again, sorted by writer and number; the loop is the client's own."""
        for start in range(0, len(self._places), PIECE):
            places = self._places[start : start + PIECE]
            found = asyncio.run_coroutine_threadsafe(self._read(places), loop).result()
            for place, message in zip(places, found, strict=True):
                entry = None if message is None else readable(message)
                entry = entry or self._drained(place, loop)
                if entry is not None:
                    yield entry

    def _note(self, message: Message, stream: str) -> None:
        entry = readable(message)
        if entry is not None:
            place = _Place(entry.header.writer, entry.header.seq, stream, message.id)
            self._places.append(place)
        else:
            why = f"the message {message.id} in Redis is no entry that can be read"
            content = sha256(message.data).digest()
            self._damaged.setdefault(content, Fault("damaged", "", 0, why))

    async def _read(self, places: Sequence[_Place]) -> list[Message | None]:
        found: list[Message | None] = []
        for place in places:
            stream = self._stream if place.stream == self._stream.name else self._letters.stream
            found.append(await stream.message(place.id))
        return found

    def _drained(self, place: _Place, loop: asyncio.AbstractEventLoop) -> Entry | None:
        """Find what was stored or set aside since: only then is it trimmed."""
        stored = self._archive.entry(place.writer, place.seq)
        if stored is not None:
            return stored
        return asyncio.run_coroutine_threadsafe(self._set_aside(place), loop).result()

    async def _set_aside(self, place: _Place) -> Entry | None:
        async for entry in self._letters.stream.entries():
            if (entry.header.writer, entry.header.seq) == (place.writer, place.seq):
                return entry
        return None
