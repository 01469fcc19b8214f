"""Follows one topic of Kafka: what is read is noted, then stored, and read on.

Where each partition is to be read on is in the column store, beside the rows. A read that was noted
and may not be stored is read again, and gives equal rows.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from config_store.sources import KafkaSource
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.polled import PolledSource
from features.sources.breaker import Breaker
from features.sources.kafka.batch import Batch, Span
from features.sources.kafka.messages import gathered
from features.sources.kafka.reader import DAY_MS, TopicReader
from features.sources.kafka.reads import KafkaReads, Read
from features.sources.source import Complaint, Gathered, add_up
from features.telemetry.tables import milliseconds

# The reader itself waits for messages.
PAUSE_SECONDS = 0.1
# Somebody has to change something first, or a broker that starts does not know its topics yet.
REFUSED_SECONDS = 15.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Unstored:
    """What was read, and how it is noted."""

    batch: Batch
    read: Read


class ConsumedSource(PolledSource):
    """One source; `step` does the next piece of work and says whether there is more at once."""

    def __init__(
        self,
        name: str,
        config: KafkaSource,
        reader: TopicReader,
        reads: KafkaReads,
        place: SourcePlace,
        breaker: Breaker,
        wall: Callable[[], float],
    ) -> None:
        super().__init__(breaker)
        self.name = name
        self.rows = 0
        self.newest: int | None = None
        self.complaints: tuple[Complaint, ...] = ()
        self._config = config
        self._reader = reader
        self._reads = reads
        self._place = place
        self._wall = wall
        # One that waits for a broker must hold up nobody else's work.
        self._thread = ThreadPoolExecutor(1, f"kafka-{name}")
        self._ends: dict[int, int] | None = None
        self._again: Read | None = None
        self._known_ms = 0
        self._unstored: _Unstored | None = None

    def pause_seconds(self) -> float:
        return REFUSED_SECONDS if self.refused else PAUSE_SECONDS

    async def step(self) -> bool:
        more = await self._attempt(self._next, self._place)
        if more is None:
            await self._in_thread(self._reader.close)
        return bool(more)

    async def close(self) -> None:
        """Let go of the broker, once what the thread is doing is over."""
        await self._in_thread(self._reader.close)
        self._thread.shutdown(wait=False)

    async def _next(self) -> bool:
        if self._unstored is None:
            self._unstored = await self._read()
        if self._unstored is None:
            return False
        await self._store(self._unstored)
        self._unstored = None
        return True

    async def _read(self) -> _Unstored | None:
        ends = await self._begin() if self._ends is None else self._ends
        if not self._reader.is_open:
            await self._in_thread(lambda: self._reader.open(ends))
        if (last := self._again) is not None:
            batch = await self._in_thread(lambda: self._reader.again(last.spans))
        else:
            batch = await self._in_thread(self._reader.read)
        self.complaints = add_up([*self.complaints, *batch.complaints])
        if last is not None:
            self._again = None
            return _Unstored(batch, last)
        if not batch.spans:
            return None
        self._ends = ends | {each: span.end for each, span in batch.spans.items()}
        return _Unstored(batch, self._as_read(batch.spans))

    async def _begin(self) -> dict[int, int]:
        """Look up where to go on; a topic that was never read begins in the past that is wanted."""
        taken = await asyncio.to_thread(self._reads.taken)
        self.newest = (await self._place.stretch()).newest
        self._known_ms = 0 if taken.last is None else taken.last.known_ms
        self._again, ends = taken.last, dict(taken.ends)
        if not ends:
            days = self._config.history_days
            since = int(self._wall() * 1000) - days * DAY_MS if days else None
            ends = await self._in_thread(lambda: self._reader.starts(since))
            # At once: after a restart "what is to come" would be another place.
            first = self._as_read({each: Span(at, at) for each, at in ends.items()})
            await asyncio.to_thread(self._reads.note, first)
        self._ends = ends
        return ends

    def _as_read(self, spans: Mapping[int, Span]) -> Read:
        # Each later than the one before, whatever the clock does: the later message counts.
        self._known_ms = max(milliseconds(self._wall()), self._known_ms + 1)
        return Read(spans, self._known_ms, self._config.cadence_seconds)

    async def _store(self, unstored: _Unstored) -> None:
        read = unstored.read
        await asyncio.to_thread(self._reads.note, read)
        # By the moment of the read: the same messages give the same rows, whenever they are stored.
        found = await self._in_thread(
            lambda: gathered(
                unstored.batch.messages,
                csv=self._config.format == "csv",
                now=read.known_ms / 1000,
                cadence_seconds=read.cadence_seconds,
            )
        )
        found = self._place.within_limit(found)
        if len(found.telemetry):
            await self._place.take_in(found, newest=True, known_ms=read.known_ms)
        self._count(found)

    def _count(self, found: Gathered) -> None:
        self.rows += len(found.telemetry)
        self.complaints = add_up([*self.complaints, *found.complaints])
        if len(found.telemetry):
            newest = int(found.telemetry.ts.max())
            self.newest = newest if self.newest is None else max(self.newest, newest)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
