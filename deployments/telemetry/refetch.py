"""Fetches a stretch of a source's past anew, piece by piece, the newest first."""

from dataclasses import dataclass

from deployments.telemetry.narrowing import Narrowing, gap
from features.errors import SourceRefusedError
from features.sources.source import Gathered, Source
from features.telemetry.columns import Telemetry

# Small pieces: live intervals wait for the one that is under way.
FIRST_CHUNK, LONGEST_CHUNK = 250, 2_000
"""In intervals."""
MOST_ROWS, FEW_ROWS = 100_000, 25_000
# Of intervals that are refused one after another: then it is no gap, but the end of the past.
MOST_GAPS = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """What was fetched, and from when on."""

    start: int
    gathered: Gathered


class Refetch:
    """How much of one source is asked for at a time; it grows and shrinks with what comes."""

    def __init__(self, cadence_seconds: int) -> None:
        self._cadence = cadence_seconds
        self._chunk = FIRST_CHUNK
        self._narrowing = Narrowing()
        self._gaps = 0

    async def piece(self, source: Source, since: int, stop: int) -> Piece | None:
        """Fetch the newest of [since, stop); None where less is to be asked for now.

        Raises SourceRefusedError where nothing but refusals came for a while.
        """
        start = max(since, stop - self._narrowing.fit(self._chunk) * self._cadence)
        intervals = (stop - start) // self._cadence
        try:
            gathered = await source.range(start, stop)
        except SourceRefusedError as refusal:
            return self._pass_over(start, intervals, refusal)
        self._narrowing.answered(intervals, self._chunk)
        self._gaps = 0
        self._fit(len(gathered.telemetry))
        return Piece(start, gathered)

    def _pass_over(self, start: int, intervals: int, refusal: SourceRefusedError) -> Piece | None:
        if intervals > 1:
            self._narrowing.halve(intervals)
            return None
        if not self._narrowing.is_certain(start):
            return None
        self._gaps += 1
        if self._gaps > MOST_GAPS:
            raise refusal
        self._narrowing.pass_over()
        return Piece(start, Gathered(Telemetry.empty(), (gap(start, refusal),)))

    def _fit(self, rows: int) -> None:
        if rows > MOST_ROWS:
            self._chunk = max(self._chunk // 2, 1)
        elif rows < FEW_ROWS:
            self._chunk = min(self._chunk * 2, LONGEST_CHUNK)
