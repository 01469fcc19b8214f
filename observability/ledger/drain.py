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
from observability.ledger.isolate import StoreAttempt, store_each
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

        An entry that is refused while the store takes later ones is at fault itself, and becomes a
        dead letter. One after which it took nothing stays: the store may be at fault.
        """
        entries = [readable(message) for message in messages]
        tried = await asyncio.to_thread(self._store_readable, entries)
        done = tried.items
        # A drain that begins anew finds dead letters again, and perhaps nothing to store behind.
        refused = {
            at: error
            for at, error in tried.refused.items()
            if not await self._dead_letters.has(messages[at])
        }
        doubtful = min((at for at in refused if at > tried.proof), default=done)
        if doubtful > 0:
            done = min(done, doubtful)
        elif not await self._stores_later(messages[done - 1].id):
            raise refused[0]
        for at, message in enumerate(messages[:done]):
            if entries[at] is None:
                await self._set_aside(message, "cannot be read")
            elif at in refused:
                await self._set_aside(message, f"cannot be stored: {refused[at]!r}")
        return messages[:done]

    def _store_readable(self, entries: Sequence[Entry | None]) -> StoreAttempt:
        """Store what can be read; what is tried and refused is counted in messages."""
        places = [at for at, entry in enumerate(entries) if entry is not None]
        tried = store_each(self._add, [entry for entry in entries if entry is not None])
        return StoreAttempt(
            len(entries) if tried.items == len(places) else places[tried.items - 1] + 1,
            {places[at]: error for at, error in tried.refused.items()},
            -1 if tried.proof < 0 else places[tried.proof],
        )

    async def _stores_later(self, after: str) -> bool:
        """Find out whether the store takes one of the newest entries behind a message."""
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
        return store_each(self._add, [entry]).proof >= 0

    def _add(self, entries: Sequence[Entry]) -> list[int]:
        """Store entries; give the places of those that show that decisions can be written.

        What was stored before shows nothing of how the store is now, and a genesis has no rows.
        """
        return [at for at in self._archive.add(entries) if entries[at].rows]

    async def _set_aside(self, message: Message, why: str) -> None:
        if await self._dead_letters.keep(message, why):
            log.error(
                "the ledger message %s is kept as a dead letter because it %s", message.id, why
            )
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
