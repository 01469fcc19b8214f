"""The entries that are in Redis, in the order of their chains, a few in memory at a time.

While nobody drains it the stream may hold more than fits in memory. So it is read twice: first for
where each entry stands, then for the entries themselves, in the order in which they are wanted.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

from redis.asyncio import Redis

from observability.ledger.archive import WINDOW, Archive
from observability.ledger.dead_letters import DeadLetters
from observability.ledger.entry import Entry
from observability.ledger.stream import LedgerStream, Message, readable
from observability.ledger.verify import Fault

# Entries are a few kilobytes as a rule, and a megabyte at most.
PIECE = 64


_Number = tuple[str, int]


class _Position(NamedTuple):
    """Where an entry stands; a tuple, since there may be millions to sort."""

    writer: str
    seq: int
    stream: str
    id: str

    @property
    def number(self) -> _Number:
        return self.writer, self.seq


class Undrained:
    """What `find` has found; `entries` blocks, and is for a thread beside the loop."""

    def __init__(self, redis: Redis, archive: Archive, *, stream: str | None = None) -> None:
        self._stream = LedgerStream(redis, name=stream)
        self._letters = DeadLetters(redis, self._stream.name)
        self._archive = archive
        self._positions: list[_Position] = []
        # The last dead letter that was read, and the positions of those that came after `find`.
        self._last_letter: str | None = None
        self._later_letters: dict[_Number, str] = {}
        self._damaged: dict[bytes, Fault] = {}

    @property
    def count(self) -> int:
        return len(self._positions)

    @property
    def damaged(self) -> list[Fault]:
        """Give what cannot be read, once each."""
        return list(self._damaged.values())

    async def find(self) -> None:
        # The stream first: what is set aside meanwhile is then seen twice, and not missed.
        # A dead letter may be sound, and only not storable: its chain then goes on through it.
        async for message in self._stream.messages(PIECE):
            self._note(message, self._stream.name)
        async for message in self._letters.stream.messages(PIECE):
            self._note(message, self._letters.stream.name)
            self._last_letter = message.id
        self._positions.sort()

    def entries(
        self, loop: asyncio.AbstractEventLoop, nothing_came: Callable[[], None] = lambda: None
    ) -> Iterator[Entry]:
        """Give each entry again, sorted by writer and number; the loop is the client's own.

        Calls back where there is nothing to give for a while, as when somebody emptied the stream.
        """
        for start in range(0, len(self._positions), PIECE):
            positions = self._positions[start : start + PIECE]
            found = asyncio.run_coroutine_threadsafe(self._read(positions), loop).result()
            gone = [position for position in positions if position not in found]
            moved = self._moved(gone, loop) if gone else {}
            came = False
            for position in positions:
                message = found.get(position)
                entry = None if message is None else readable(message)
                for each in moved.get(position.number, []) if entry is None else [entry]:
                    yield each
                    came = True
            if not came:
                nothing_came()

    def _note(self, message: Message, stream: str) -> None:
        entry = readable(message)
        if entry is not None:
            position = _Position(entry.header.writer, entry.header.seq, stream, message.id)
            self._positions.append(position)
        else:
            why = f"the message {message.id} in Redis cannot be read as a ledger entry"
            content = sha256(message.data).digest()
            self._damaged.setdefault(content, Fault("damaged", "", 0, why))

    async def _read(self, positions: Sequence[_Position]) -> dict[_Position, Message]:
        found: dict[_Position, Message] = {}
        for stream in (self._stream, self._letters.stream):
            there = [position for position in positions if position.stream == stream.name]
            messages = await stream.at([position.id for position in there])
            found |= {
                position: message
                for position, message in zip(there, messages, strict=True)
                if message is not None
            }
        return found

    def _moved(
        self, gone: Sequence[_Position], loop: asyncio.AbstractEventLoop
    ) -> dict[_Number, list[Entry]]:
        """Find what was stored or set aside since: only then is it trimmed."""
        moved: dict[_Number, list[Entry]] = {}
        for writer, first, last in _windows(gone):
            for entry in self._archive.window(writer, first, last):
                moved.setdefault((writer, entry.header.seq), []).append(entry)
        left = {position.number for position in gone} - moved.keys()
        if left:
            moved |= asyncio.run_coroutine_threadsafe(self._set_aside(left), loop).result()
        return moved

    async def _set_aside(self, numbers: set[_Number]) -> dict[_Number, list[Entry]]:
        """Look among the dead letters that came since; each of them is read through once."""
        letters = self._letters.stream
        async for message in letters.messages(PIECE, self._last_letter):
            self._last_letter = message.id
            entry = readable(message)
            if entry is not None:
                self._later_letters[entry.header.writer, entry.header.seq] = message.id
        kept = [number for number in numbers if number in self._later_letters]
        messages = await letters.at([self._later_letters[number] for number in kept])
        return {
            number: [entry]
            for number, message in zip(kept, messages, strict=True)
            if message is not None and (entry := readable(message)) is not None
        }


def _windows(positions: Sequence[_Position]) -> Iterator[tuple[str, int, int]]:
    """Span sorted positions by parts of chains, none longer than the archive reads at once."""
    first = last = positions[0]
    for position in positions[1:]:
        if position.writer != first.writer or position.seq - first.seq >= WINDOW:
            yield first.writer, first.seq, last.seq
            first = position
        last = position
    yield first.writer, first.seq, last.seq
