"""Moves the ledger's stream into ClickHouse, and trims what is safely there.

It may be killed anywhere. A new drain reads the stream from its oldest message, and what ClickHouse
already has is passed over; messages younger than the margin stay in the stream even when stored, so
that a reader who just missed a decision in ClickHouse finds it in the stream.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseError
from observability.ledger.archive import Archive
from observability.ledger.entry import Entry
from observability.ledger.stream import AWAY, FIELD, LedgerStream, Message, readable

log = logging.getLogger(__name__)

CHUNK = 512
MARGIN_S = 10.0
# Fewer and larger inserts: each makes parts that the engine then has to merge.
INTERVAL_S = 5.0


class Drain:
    """One for a stream; a second one would do no harm but double the work."""

    def __init__(
        self,
        redis: Redis,
        store: Clickhouse,
        *,
        stream: str | None = None,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._redis = redis
        self._stream = LedgerStream(redis, name=stream)
        self._archive = Archive(store)
        self._margin_ms = int(margin_s * 1000)
        self._after: str | None = None

    async def run(self, stop: asyncio.Event, interval_s: float = INTERVAL_S) -> None:
        """Drain until told to stop; while Redis or ClickHouse is away, try again each interval."""
        while not stop.is_set():
            try:
                more = await self.step() == CHUNK
            except (*AWAY, ClickhouseError) as error:
                log.warning("the ledger is not drained this time: %r", error)
                more = False
            if not more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), interval_s)

    async def step(self) -> int:
        """Store one chunk of messages and trim; says how many messages were read."""
        messages = await self._stream.read(self._after, CHUNK)
        if messages:
            await self._store(messages)
            self._after = messages[-1].id
            await self._redis.set(f"{self._stream.name}:drained", self._after)
            await self._trim(self._after)
        elif self._after is not None and not await self._stream_reaches(self._after):
            self._after = None
        elif self._after is not None:
            await self._trim(self._after)  # what was too young for it the last time
        return len(messages)

    async def lag_s(self) -> float:
        """How many seconds of messages are not in ClickHouse yet."""
        undrained = await self._stream.read(self._after, 1)
        if not undrained:
            return 0.0
        newest = _order((await self._last_id()) or undrained[0].id)
        return (newest[0] - _order(undrained[0].id)[0]) / 1000

    async def _store(self, messages: Sequence[Message]) -> None:
        entries: list[Entry] = []
        for message in messages:
            entry = readable(message)
            if entry is None:
                await self._set_aside(message)
            else:
                entries.append(entry)
        await asyncio.to_thread(self._archive.add, entries)

    async def _set_aside(self, message: Message) -> None:
        """Keep what cannot be read, for whoever finds out why."""
        await self._redis.xadd(
            f"{self._stream.name}:damaged", {FIELD: message.data, b"id": message.id.encode()}
        )

    async def _trim(self, drained: str) -> None:
        # By the clock of Redis, which made the ids.
        seconds, micros = await self._redis.time()
        oldest_kept = seconds * 1000 + micros // 1000 - self._margin_ms
        if oldest_kept < _order(drained)[0]:
            drained = str(max(oldest_kept, 0))
        await self._redis.xtrim(self._stream.name, minid=drained, approximate=False)

    async def _stream_reaches(self, message_id: str) -> bool:
        """Whether the stream ever came as far as this id, or is a younger one than we read."""
        last = await self._last_id()
        return last is not None and _order(last) >= _order(message_id)

    async def _last_id(self) -> str | None:
        try:
            info = await self._redis.xinfo_stream(self._stream.name)
        except ResponseError:  # there is no stream
            return None
        return str(info["last-generated-id"].decode())


def _order(message_id: str) -> tuple[int, int]:
    ms, _, seq = message_id.partition("-")
    return int(ms), int(seq)
