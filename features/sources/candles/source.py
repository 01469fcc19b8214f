"""Candles of a market as a source of telemetry: a symbol is an entity."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from features.errors import SourceRefusedError, TooMuchAskedError
from features.sources.candles.answers import Candles, Wanted
from features.sources.candles.api import CandleApi
from features.sources.candles.gaps import lacking
from features.sources.candles.rules import CandleMapping, CandleRule
from features.sources.checks import RawRows, checked
from features.sources.source import Complaint, Faults, Gathered, add_up
from features.telemetry.columns import Floats, Telemetry

# The newest candles may be published late, but a market that is closed gives none for days.
PATIENCE_SECONDS: Final = 300
PATIENCE_CANDLES: Final = 3


@dataclass(frozen=True, slots=True)
class Market:
    """Which candles are asked for."""

    symbols: tuple[str, ...]
    cadence_seconds: int
    lateness_seconds: int
    most_candles: int
    exchange: str | None = None


class CandleSource:
    """Asks one upstream for the candles of its symbols."""

    def __init__(
        self,
        name: str,
        api: CandleApi,
        mapping: CandleMapping,
        market: Market,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._api = api
        self._mapping = mapping
        self._market = market
        self._clock = clock
        self._cadence = market.cadence_seconds
        self._steps = market.most_candles

    @property
    def cadence_seconds(self) -> int:
        return self._cadence

    @property
    def settling_seconds(self) -> float:
        return self._market.lateness_seconds

    async def range(self, start: int, stop: int) -> Gathered:
        """Give the whole candles that begin in [start, stop), as far as they are over.

        The last ones that no symbol has may still come, for a while.
        """
        begin, end = _ceil(start, self._cadence), _ceil(stop, self._cadence)
        over = self._floor(self._clock() - self._market.lateness_seconds)
        found = _together(await self._parts(begin, min(end, over)))
        return replace(found, until=self._until(begin, end, over, found.telemetry))

    async def oldest(self) -> int | None:
        """Tell that nobody says how far the upstream goes: it is asked as far as is wanted."""
        return 0

    async def close(self) -> None:
        await self._api.close()

    async def _parts(self, at: int, end: int) -> list[Gathered]:
        parts: list[Gathered] = []
        while at < end:
            stop = min(end, at + self._steps * self._cadence)
            try:
                parts.append(await self._chunk(at, stop))
            except TooMuchAskedError:
                steps = (stop - at) // self._cadence
                if steps == 1:
                    raise
                self._steps = steps // 2
                continue
            # What was too much once may not be later: little by little, more is tried again.
            self._steps = min(self._market.most_candles, self._steps + self._steps // 8 + 1)
            at = stop
        return parts

    async def _chunk(self, start: int, stop: int) -> Gathered:
        """Ask for each symbol; one that is refused is complained of, unless all of them are."""
        try:
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(self._of_symbol(each, start, stop))
                    for each in self._market.symbols
                ]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        found = [task.result() for task in asked]
        refused = [each for each in found if isinstance(each, SourceRefusedError)]
        if len(refused) == len(found):
            raise refused[0]
        return _together([self._or_complaint(each) for each in found])

    async def _of_symbol(self, symbol: str, start: int, stop: int) -> Gathered | SourceRefusedError:
        wanted, now = Wanted(symbol, self._cadence, start, stop), self._clock()
        mapping = self._mapping
        try:
            candles, complaints = await self._api.candles(wanted, mapping.asked, mapping.names, now)
        except TooMuchAskedError:
            raise
        except SourceRefusedError as refused:
            return refused
        return await asyncio.to_thread(self._gather, candles, complaints, now)

    def _gather(self, candles: Candles, complaints: tuple[Complaint, ...], now: float) -> Gathered:
        metrics = {
            name: _column(candles, rule, self._cadence)
            for name, rule in self._mapping.metrics.items()
        }
        rows = RawRows(
            [candles.symbol] * len(candles),
            candles.ts.tolist(),
            {name: column.tolist() for name, column in metrics.items()},
        )
        found = checked(rows, now=now, cadence_seconds=self._cadence)
        return replace(found, complaints=(*complaints, *found.complaints, *self._gaps(candles)))

    def _gaps(self, candles: Candles) -> tuple[Complaint, ...]:
        faults = Faults()
        missing = lacking(candles, self._cadence, self._market.exchange)
        if len(missing):
            faults.add("gap", len(missing), f"{candles.symbol!r} at {_utc(int(missing[0]))}")
        return faults.complaints()

    def _or_complaint(self, found: Gathered | SourceRefusedError) -> Gathered:
        if isinstance(found, SourceRefusedError):
            return Gathered(Telemetry.empty(), (Complaint("schema", 1, found.reason),))
        return found

    def _until(self, begin: int, end: int, over: int, telemetry: Telemetry) -> int | None:
        if over < begin:
            return over
        given = int(telemetry.ts.max()) + self._cadence if len(telemetry) else begin
        patience = max(PATIENCE_SECONDS, PATIENCE_CANDLES * self._cadence)
        settled = max(given, min(end, over, self._floor(over - patience)))
        return None if settled >= end else settled

    def _floor(self, moment: float) -> int:
        return math.floor(moment / self._cadence) * self._cadence


def _column(candles: Candles, rule: CandleRule, cadence: int) -> Floats:
    values = candles.values[rule.field] * rule.times
    return values / cadence if rule.kind == "per_second" else np.asarray(values)


def _together(parts: Sequence[Gathered]) -> Gathered:
    telemetry = Telemetry.concat(part.telemetry for part in parts)
    return Gathered(telemetry, add_up(each for part in parts for each in part.complaints))


def _ceil(moment: int, cadence: int) -> int:
    return -(-moment // cadence) * cadence


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
