"""Forecasts of hours that are not over: each waits for its true value, and the intervals learn.

An hour waits for at most MOST_HOURS, entity by entity: while the history or Redis is away, while
its telemetry is late, while the state that would learn from it cannot be read by this release.
Redis keeps it too, so that a replica that starts again continues with it. Only what was forecast
while Redis could not be reached is lost, if all replicas end before it can.
"""

import logging
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from redis.asyncio import Redis

from deployments.api.errors import RefusedError, UnavailableError, UnreadableError
from deployments.forecasting.hourly_offsets import FIRST_HOUR, LAST_HOUR, HourlyOffsets
from deployments.forecasting.kept_hours import Ends, KeptHours
from deployments.forecasting.past import Past
from deployments.forecasting.table import NO_HISTORY, Ahead, ForecastTable
from deployments.runtime.coverage.operations import IntervalOutcome, TakeOutcome
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from models.forecasting.forecaster import HOUR, LONGEST_HORIZON
from models.forecasting.plan.correction import ratio, remaining
from settings.redis_connection import REDIS_AWAY

MOST_HOURS = 48
AWAY = (UnavailableError, *REDIS_AWAY)

log = logging.getLogger(__name__)


class Horizon(NamedTuple):
    """Which of a forecast's hours are counted, and under which names."""

    hours: int
    family: str
    kept: str


NEXT = Horizon(1, FIRST_HOUR, "foretold")
DAY_AHEAD = Horizon(LONGEST_HORIZON, LAST_HOUR, "foretold-day")


class PendingForecasts:
    """Each hour counts once for each entity, whichever replica counts it first."""

    def __init__(
        self,
        redis: Redis,
        outcomes: OutcomeRecorder,
        online: HourlyOffsets,
        horizon: Horizon = NEXT,
    ) -> None:
        self._horizon = horizon
        self._outcomes = outcomes
        self._online = online
        self._kept = KeptHours(redis, horizon.kept)
        self._restored = False
        self._noted: tuple[ForecastTable, str, list[float]] | None = None
        # By the hour's first second and the entity.
        self._waiting: dict[tuple[int, str], Ends] = {}
        self._held_against: tuple[Mapping[str, Past], int] = ({}, 0)
        self._again = False

    async def note(self, table: ForecastTable, model: str) -> None:
        """Note what clients are answered by now: the last before an hour begins is counted.

        Whichever alias named it, and for whatever reason it was made.
        """
        offsets = self._offsets(table.entities)
        before = self._noted
        if before is not None and before[0] is table and before[1:] == (model, offsets):
            return
        await self._restore()
        starts = self._take_up(table, model.removeprefix("forecasting/"), offsets)
        try:
            for start in starts:
                await self._kept.write(start, self._of(start))
        except AWAY as away:
            log.info("The forecasts of open hours are not in Redis yet: %s", type(away).__name__)
            return
        if self._restored:
            self._noted = table, model, offsets

    def _of(self, start: int) -> dict[str, Ends]:
        return {entity: each for (at, entity), each in self._waiting.items() if at == start}

    def _offsets(self, entities: list[str]) -> list[float]:
        return self._online.offsets_at(self._horizon.hours, entities)

    def _take_up(self, table: ForecastTable, model: str, offsets: list[float]) -> set[int]:
        """Let a table's hour wait for its truth; give the hours that now do."""
        starts = set[int]()
        for entity, offset in zip(table.entities, offsets, strict=True):
            ahead = table.ahead(entity, model)
            if ahead.basis == NO_HISTORY:
                continue
            start = ahead.start + (self._horizon.hours - 1) * HOUR
            key, ends = (start, entity), ends_of(ahead, self._horizon, offset)
            # An hour in progress stays as it was forecast before it began.
            if ahead.start > table.hour * HOUR or key not in self._waiting:
                self._waiting[key] = ends
            starts.add(start)
        return starts

    async def settle(self, past: Mapping[str, Past], until: int) -> None:
        """Count what came of the hours before `until`, as far as the past holds it."""
        before, known_until = self._held_against
        if past is before and until == known_until and not self._again:
            return
        hours = {start for start, _ in self._waiting}
        self._held_against, self._again = (past, until), False
        self._give_up()
        await self._count(past, until)
        if over := hours - {start for start, _ in self._waiting}:
            try:
                await self._kept.remove(over)
            except AWAY as away:
                log.info(
                    "Hours that have been counted were not removed from Redis: %s",
                    type(away).__name__,
                )

    async def _count(self, past: Mapping[str, Past], until: int) -> None:
        for key in [key for key in self._waiting if key[0] // HOUR < until]:
            try:
                await self._take(key, past)
            except AWAY as away:
                # Behind the others: what keeps one entity's back may be its own state.
                self._waiting[key] = self._waiting.pop(key)
                self._again = True
                log.info("An hour could not be counted and will be tried again: %s", away)
                return
            except Exception:
                # Whatever is wrong with one entity: the others lose nothing by it.
                log.exception("An hour of %s cannot be counted", key[1])
                del self._waiting[key]

    async def _take(self, key: tuple[int, str], past: Mapping[str, Past]) -> None:
        """Count one entity's hour, if its truth is known."""
        start, entity = key
        truth = truth_of(past, entity, start)
        if not math.isfinite(truth):
            return
        ends = self._waiting[key]
        if self._horizon is DAY_AHEAD:
            # By the present offset, not the one then: what misses for a day, whatever has been
            # learned since, would move it for that day without any end.
            ends = ends._replace(offset=self._offsets([entity])[0])
        then = truth_of(past, entity, start - self._horizon.hours * HOUR)
        came = outcome_of(ends, then, truth)
        outcome: TakeOutcome = {"decision": f"hour {start}", **came, "given": True}
        try:
            await self._outcomes.take(self._horizon.family, entity, outcome)
        except UnavailableError:
            raise
        except UnreadableError as refusal:  # tried again with the next past
            log.info("The outcome of an hour of %s is postponed: %s", entity, refusal.message)
            return
        except RefusedError as refusal:  # another replica counted it
            log.info("The outcome of an hour was not accepted: %s", refusal.message)
        del self._waiting[key]

    def _give_up(self) -> None:
        """Drop hours that have waited for too long, all entities' alike."""
        newest = max((start for start, _ in self._waiting), default=0)
        most = MOST_HOURS + self._horizon.hours - NEXT.hours
        old = [key for key in self._waiting if key[0] < newest - most * HOUR]
        for key in old:
            del self._waiting[key]
        if old:
            log.warning(
                "%d hours were dropped: their outcomes were not known or not accepted within "
                "two days",
                len(old),
            )

    async def _restore(self) -> None:
        """Go on where a replica that ended left off."""
        if self._restored:
            return
        try:
            kept = await self._kept.read()
        except AWAY as away:
            log.info(
                "The forecasts of open hours have not been read from Redis yet: %s",
                type(away).__name__,
            )
            return
        for start, ends in kept.items():
            for entity, each in ends.items():
                self._waiting.setdefault((start, entity), each)
        self._restored = self._again = True


def ends_of(ahead: Ahead, horizon: Horizon, offset: float) -> Ends:
    """Keep of a forecast what the hour at this horizon will be held against."""
    at = horizon.hours - 1
    lower, upper, left = (float(each[at]) for each in (ahead.lower, ahead.upper, ahead.lasting))
    return Ends(lower, upper, offset, ahead.expected, left)


def outcome_of(ends: Ends, then: float, truth: float) -> IntervalOutcome:
    """Say what came of an interval as whoever gave this rate got it: the mean of the hour then."""
    by = ratio(np.array([then]), np.array([ends.expected]))
    ((left,),) = remaining(by, np.array([ends.left])).tolist()
    lower, upper = ends.lower * left, ends.upper * left
    return {"lower": lower, "truth": truth, "upper": upper, "offset": ends.offset}


def truth_of(past: Mapping[str, Past], entity: str, start: int) -> float:
    """Give the rate of the hour from `start`; NaN where it is not known."""
    each = past.get(entity)
    place = -1 if each is None else (start - each.start) // HOUR
    if each is None or not 0 <= place < len(each.rate):
        return math.nan
    return float(each.rate[place])
