"""Moves the ledger's stream into ClickHouse, and trims what is safely there.

It may be killed anywhere. A new drain reads the stream from its oldest message, and what ClickHouse
already has is passed over; messages younger than the margin stay in the stream even when stored, so
that a reader who just missed a decision in ClickHouse finds it in the stream.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.ledger.archive import Archive
from observability.ledger.dead_letters import DeadLetters
from observability.ledger.entry import Entry
from observability.ledger.isolate import store_each
from observability.ledger.lag import drained_key, last_id, order
from observability.ledger.stream import LedgerStream, Message, readable

log = logging.getLogger(__name__)

CHUNK = 512
MARGIN_S = 10.0
# So many of the newest entries are tried where none of the oldest can be stored.
PROBES = 8


def _count_nothing() -> None:
    """Count nothing: nobody asked to."""


class Drain:
    """One for a stream; a second one would do no harm but double the work."""

    def __init__(
        self,
        redis: Redis,
        store: Clickhouse,
        *,
        stream: str | None = None,
        margin_s: float = MARGIN_S,
        on_dead_letter: Callable[[], None] = _count_nothing,
    ) -> None:
        self._redis = redis
        self._stream = LedgerStream(redis, name=stream)
        self._archive = Archive(store)
        self._dead_letters = DeadLetters(redis, self._stream.name)
        self._on_dead_letter = on_dead_letter
        self._margin_ms = int(margin_s * 1000)
        self._after: str | None = None

    async def go_on(self) -> bool:
        """Make one step; says whether there is more to do at once."""
        return await self.step() == CHUNK

    async def step(self) -> int:
        """Store one chunk of messages and trim; says how many messages were dealt with."""
        messages = await self._stream.read_in_pieces(self._after, CHUNK)
        if messages:
            messages = await self._store(messages)
            self._after = messages[-1].id
            await self._trim(self._after)  # first: a full Redis takes nothing, and lets go
            await self._redis.set(drained_key(self._stream.name), self._after)
        elif self._after is not None and not await self._stream_reaches(self._after):
            self._after = None
        elif self._after is not None:
            await self._trim(self._after)  # what was too young for it the last time
        return len(messages)

    async def _store(self, messages: list[Message]) -> list[Message]:
        """Store the messages' entries; says with which of the messages the drain is done.

        An entry that is refused while later ones are stored is at fault itself, and becomes a dead
        letter. One after which nothing could be stored stays: the store may be at fault.
        """
        entries = [readable(message) for message in messages]
        done, refused = await asyncio.to_thread(self._store_readable, entries)
        tried = enumerate(entries[:done])
        stored = [at for at, entry in tried if entry is not None and at not in refused]
        if refused and not stored:
            if not await self._stores_later(messages[done - 1].id):
                raise next(iter(refused.values()))
        elif refused and max(refused) > stored[-1]:
            done = stored[-1] + 1
        for at, message in enumerate(messages[:done]):
            if entries[at] is None:
                await self._set_aside(message, "cannot be read")
            elif at in refused:
                await self._set_aside(message, f"cannot be stored: {refused[at]!r}")
        return messages[:done]

    def _store_readable(self, entries: Sequence[Entry | None]) -> tuple[int, dict[int, Exception]]:
        """Store what can be read; give how many messages were tried, and which are refused."""
        places = [at for at, entry in enumerate(entries) if entry is not None]
        found = [entry for entry in entries if entry is not None]
        tried = store_each(self._archive.add, found)
        done = len(entries) if tried.items == len(found) else places[tried.items - 1] + 1
        return done, {places[at]: error for at, error in tried.refused.items()}

    async def _stores_later(self, after: str) -> bool:
        """Find out whether the store takes one of the newest entries behind a message.

        One that it has already says nothing of how it is now.
        """
        left = PROBES
        async for message in self._stream.newest_first(PROBES):
            if not left or order(message.id) <= order(after):
                return False
            left -= 1
            entry = readable(message)
            if entry is not None and await asyncio.to_thread(self._takes, entry):
                return True
        return False

    def _takes(self, entry: Entry) -> bool:
        added = 0

        def add(entries: Sequence[Entry]) -> None:
            nonlocal added
            added += self._archive.add(entries)

        store_each(add, [entry])
        return added > 0

    async def _set_aside(self, message: Message, why: str) -> None:
        if await self._dead_letters.keep(message, why):
            log.error("ledger message %s is kept as a dead letter: it %s", message.id, why)
            self._on_dead_letter()

    async def _trim(self, drained: str) -> None:
        # By the clock of Redis, which made the ids.
        seconds, micros = await self._redis.time()
        oldest_kept = seconds * 1000 + micros // 1000 - self._margin_ms
        if oldest_kept < order(drained)[0]:
            drained = str(max(oldest_kept, 0))
        await self._redis.xtrim(self._stream.name, minid=drained, approximate=False)

    async def _stream_reaches(self, message_id: str) -> bool:
        """Whether the stream ever came as far as this id, or is a younger one than we read."""
        last = await last_id(self._redis, self._stream.name)
        return last is not None and order(last) >= order(message_id)
