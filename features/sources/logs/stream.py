"""Posted lines that wait in Redis to be added up, as the entries of a stream."""

import logging
from dataclasses import dataclass

from redis.asyncio import Redis

from features.errors import UnreadableTelemetryError
from features.sources.entries import MOST_BYTES, Entry, EntryStream
from features.sources.logs.batch import Batch, decode

log = logging.getLogger(__name__)

# What one read gives: a body has 100,000 lines at most, and usual ones a thousandth of it.
MOST_READ_LINES = 200_000


@dataclass(frozen=True, slots=True)
class ArrivedLines:
    """An entry of a stream, and when it came."""

    id: str
    received_ms: int
    batch: Batch


class LineStream(EntryStream):
    """The lines of one source, which `batch.encode` made entries of."""

    def __init__(self, redis: Redis, source: str, *, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(redis, source, "lines", most_bytes=most_bytes)

    async def read(self, after: str, count: int) -> list[ArrivedLines]:
        """Read the entries that follow one, at most so many; `0-0` stands before the first.

        Fewer, where they are large; none only where none follow. One that cannot be read is given
        without lines, so that it is let go of in its turn.
        """
        return await self.read_up_to(after, count, MOST_READ_LINES, _sized)


def _sized(entry: Entry) -> tuple[ArrivedLines, int]:
    arrived = _arrived(entry)
    return arrived, len(arrived.batch.lines)


def _arrived(entry: Entry) -> ArrivedLines:
    try:
        return ArrivedLines(entry.id, entry.received_ms, decode(entry.data))
    except UnreadableTelemetryError:
        log.exception("The lines %s of %d bytes are passed over", entry.id, len(entry.data))
    return ArrivedLines(entry.id, entry.received_ms, Batch(entry.id, ()))
