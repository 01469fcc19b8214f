"""Samples that wait in Redis to be evaluated, as the entries of a stream."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from redis.asyncio import Redis

from features.errors import UnreadableTelemetryError
from features.sources.entries import MOST_BYTES, Entry, EntryStream
from features.sources.remote_write.samples import Samples, decode

log = logging.getLogger(__name__)

# What one read gives: an entry of 200,000 series takes 44 MB, usual ones 0.4.
MOST_READ_BYTES = 32 * 1024 * 1024
# In memory, unpacked.
_SAMPLE_BYTES, _SERIES_BYTES = 20, 200


@dataclass(frozen=True, slots=True)
class Arrived:
    """An entry of a stream, and when it came."""

    id: str
    received_ms: int
    samples: Samples


class SampleStream(EntryStream):
    """The samples of one source, which `samples.encode` made entries of."""

    def __init__(
        self,
        redis: Redis,
        source: str,
        *,
        most_bytes: int = MOST_BYTES,
        most_read_bytes: int = MOST_READ_BYTES,
    ) -> None:
        super().__init__(redis, source, "samples", most_bytes=most_bytes)
        self._most_read_bytes = most_read_bytes

    async def read(self, after: str, count: int) -> list[Arrived]:
        """Read the entries that follow one, at most so many; `0-0` stands before the first.

        Fewer, where they are large; none only where none follow. One that cannot be read is given
        without samples, so that it is let go of in its turn.
        """
        return await self.read_up_to(after, count, self._most_read_bytes, _sized)

    async def newest(self, count: int) -> list[Arrived]:
        """Read the newest entries, at most so many, in their order."""
        return await asyncio.to_thread(_all_arrived, await self.last(count))


def _sized(entry: Entry) -> tuple[Arrived, int]:
    arrived = _arrived(entry)
    samples = arrived.samples
    return arrived, len(samples) * _SAMPLE_BYTES + len(samples.series) * _SERIES_BYTES


def _all_arrived(entries: Sequence[Entry]) -> list[Arrived]:
    return [_arrived(each) for each in entries]


def _arrived(entry: Entry) -> Arrived:
    try:
        return Arrived(entry.id, entry.received_ms, decode(entry.data))
    except UnreadableTelemetryError:
        log.exception("The samples %s of %d bytes are passed over", entry.id, len(entry.data))
    nothing = Samples([], np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0))
    return Arrived(entry.id, entry.received_ms, nothing)
