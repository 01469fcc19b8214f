"""Tables of a ClickHouse as a source of telemetry."""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pyarrow as pa

from features.errors import TooMuchAskedError
from features.sources.checks import RawRows, checked
from features.sources.clickhouse.answers import read, rows_where
from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.prepared import prepare
from features.sources.clickhouse.rules import Query, Table
from features.sources.clickhouse.statement import OLDEST, ROWS, oldest_of
from features.sources.source import Complaint, Gathered, add_up
from features.telemetry.columns import Telemetry

# Before it is known how many rows an interval has; and of what is read at once.
FIRST_STEPS: Final = 60
MOST_STEPS: Final = 10_000
FEW_ROWS: Final = 50_000
# A table that has nothing new may be loaded later, or is just being swapped.
PATIENCE_SECONDS: Final = 3_600
# So far ahead rows are looked for that a wrong clock wrote.
AHEAD_SECONDS: Final = 86_400
_DAY: Final = 86_400


class ClickhouseSource:
    """Asks one ClickHouse for the metrics of its rules."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        query: Query,
        clock: Callable[[], float],
        *,
        cadence_seconds: int,
        lateness_seconds: int,
    ) -> None:
        self._name = name
        self._engine = engine
        self._query = query
        self._prepared = prepare(query)
        self._clock = clock
        self._cadence = cadence_seconds
        self._lateness = lateness_seconds
        self._steps = FIRST_STEPS
        self._most_steps = MOST_STEPS
        self._looked_ahead_at = 0
        self._skewed_to = 0.0

    @property
    def cadence_seconds(self) -> int:
        return self._cadence

    @property
    def settling_seconds(self) -> float:
        return self._lateness

    async def range(self, start: int, stop: int) -> Gathered:
        """Give the whole intervals that begin in [start, stop), as far as they are over.

        The last ones that no entity has a row of may still come, for a while.
        """
        begin, end = _ceil(start, self._cadence), _ceil(stop, self._cadence)
        over = self._floor(self._clock() - self._lateness)
        parts = await self._parts(begin, min(end, over))
        if begin < over <= end and over > self._looked_ahead_at:
            parts.append(await self._ahead())
            self._looked_ahead_at = over
        found = _together(parts)
        return replace(found, until=self._until(begin, end, over, found.telemetry))

    async def oldest(self) -> int | None:
        """Tell when the table's rows begin; of the user's own SQL, and a huge table, nobody knows.

        Then 0: the past is asked for as far as it is wanted.
        """
        if not isinstance(self._query, Table):
            return 0
        statement = oldest_of(self._query)
        params = statement.params | {"from": str(_DAY)}
        with suppress(TooMuchAskedError):
            found = (await self._engine.ask(statement.sql, params)).to_pylist()[0]
            return self._floor(found[OLDEST]) if found[ROWS] else None
        return 0

    async def close(self) -> None:
        await self._engine.close()

    async def _parts(self, at: int, end: int) -> list[Gathered]:
        parts: list[Gathered] = []
        while at < end:
            stop = min(end, at + self._steps * self._cadence)
            steps = (stop - at) // self._cadence
            try:
                parts.append(await self._chunk(at, stop))
            except TooMuchAskedError:
                if steps == 1:
                    raise
                self._steps = self._most_steps = steps // 2
                continue
            self._fit(len(parts[-1].telemetry) / steps)
            at = stop
        return parts

    def _fit(self, rows_a_step: float) -> None:
        # What was too much once may not be later: little by little, more is tried again.
        self._most_steps = min(MOST_STEPS, self._most_steps + self._most_steps // 8 + 1)
        self._steps = min(self._most_steps, max(1, int(FEW_ROWS / max(rows_a_step, 1.0))))

    async def _chunk(self, start: int, stop: int) -> Gathered:
        params = self._prepared.filled(start, stop, self._cadence)
        answer = await self._engine.ask(self._prepared.sql, params)
        return await asyncio.to_thread(self._read, answer, start, stop)

    def _read(self, answer: pa.Table, start: int, stop: int) -> Gathered:
        rows, complaints = read(self._name, answer, self._prepared.picked)
        within, strays = _split(rows, lambda ts: start <= ts < stop)
        if strays.ts:
            example = f"{strays.entity[0]!r} at {strays.ts[0]}: see its {{from}} and {{to}}"
            complaints = (*complaints, Complaint("schema", len(strays.ts), example))
        found = checked(within, now=self._clock(), cadence_seconds=self._cadence, report_gaps=True)
        return replace(found, complaints=(*complaints, *found.complaints))

    async def _ahead(self) -> Gathered:
        """Look for rows that are ahead of the clock; each is complained of once."""
        now = self._clock()
        start = self._floor(now) + 2 * self._cadence
        params = self._prepared.filled(start, start + AHEAD_SECONDS, self._cadence)
        try:
            answer = await self._engine.ask(self._prepared.sql, params)
        except TooMuchAskedError:
            return Gathered(Telemetry.empty())
        rows, _ = read(self._name, answer, self._prepared.picked)
        known = self._skewed_to
        news, _ = _split(rows, lambda ts: ts > known)
        self._skewed_to = max(news.ts, default=known)
        found = checked(news, now=now, cadence_seconds=self._cadence)
        skewed = tuple(each for each in found.complaints if each.fault == "clock skew")
        return Gathered(Telemetry.empty(), skewed)

    def _until(self, begin: int, end: int, over: int, telemetry: Telemetry) -> int | None:
        if over < begin:
            return over
        given = int(telemetry.ts.max()) + self._cadence if len(telemetry) else begin
        patient = self._floor(over - max(PATIENCE_SECONDS, 3 * self._cadence))
        settled = max(given, min(end, over, patient))
        return None if settled >= end else settled

    def _floor(self, moment: float) -> int:
        return math.floor(moment / self._cadence) * self._cadence


def _split(rows: RawRows, belongs: Callable[[float], bool]) -> tuple[RawRows, RawRows]:
    """Part rows by their time; one that cannot be told is of the first part."""
    marks = [math.isnan(ts) or belongs(ts) for ts in rows.ts]
    if all(marks):
        return rows, RawRows((), (), {})
    return rows_where(rows, marks), rows_where(rows, [not mark for mark in marks])


def _together(parts: Sequence[Gathered]) -> Gathered:
    telemetry = Telemetry.concat(part.telemetry for part in parts)
    return Gathered(telemetry, add_up(each for part in parts for each in part.complaints))


def _ceil(moment: int, cadence: int) -> int:
    return -(-moment // cadence) * cadence
