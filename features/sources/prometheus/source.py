"""A Prometheus as a source of telemetry."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from features.errors import SourceRefusedError, TooMuchAskedError
from features.sources.checks import checked
from features.sources.prometheus.answers import Series
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.past import oldest
from features.sources.prometheus.promql import deploys_of, expression_of, presence_of
from features.sources.prometheus.table import Grid, Table
from features.sources.rules import Mapping
from features.sources.source import Gathered, add_up
from features.telemetry.columns import Telemetry

# A Prometheus gives 11,000 points of one series at once, and no more.
MOST_STEPS = 11_000
# Of all series of one answer: a megabyte or two of JSON.
MOST_POINTS = 50_000
# Before it is known how many entities there are.
FIRST_STEPS = 60
# What is scraped at the end of an interval takes a moment to be stored.
SETTLING_SECONDS = 5.0


class PrometheusSource:
    """Asks one Prometheus for the metrics of a mapping."""

    def __init__(
        self,
        name: str,
        api: PrometheusApi,
        mapping: Mapping,
        cadence_seconds: int,
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._api = api
        self._mapping = mapping
        self._cadence = cadence_seconds
        self._clock = clock
        self._expressions = {
            metric: expression_of(rule, mapping.entity, cadence_seconds)
            for metric, rule in mapping.metrics.items()
        }
        self._steps = FIRST_STEPS
        self._most_steps = MOST_STEPS

    @property
    def cadence_seconds(self) -> int:
        return self._cadence

    @property
    def settling_seconds(self) -> float:
        return SETTLING_SECONDS

    async def range(self, start: int, stop: int) -> Gathered:
        """Give the whole intervals that begin in [start, stop), as far as they are over."""
        at, end = _ceil(start, self._cadence), _ceil(stop, self._cadence)
        over = math.floor((self._clock() - SETTLING_SECONDS) / self._cadence) * self._cadence
        until = max(at, over) if over < end else None
        parts: list[Gathered] = []
        while at < min(end, over):
            steps = min(self._steps, (min(end, over) - at) // self._cadence)
            try:
                parts.append(await self._chunk(Grid(at + self._cadence, self._cadence, steps)))
            except TooMuchAskedError:
                if steps == 1:
                    raise
                self._steps = self._most_steps = steps // 2
                continue
            at += steps * self._cadence
        return replace(_together(parts), until=until)

    async def oldest(self) -> int | None:
        """Tell when the mapping's series begin; a week without any ends the past."""
        presence = presence_of(self._mapping, self._cadence)

        async def first(start: int, stop: int, step: int) -> int | None:
            found = await self._api.query_range(presence, start, stop, step)
            times = [int(series.at[0]) for series in found if len(series.at)]
            return min(times, default=None)

        begin = await oldest(first, math.floor(self._clock()), self._cadence)
        return None if begin is None else begin // self._cadence * self._cadence

    async def close(self) -> None:
        await self._api.close()

    async def _chunk(self, grid: Grid) -> Gathered:
        metrics, deploys = await self._ask(grid)
        most = max(len(series) for series in (*metrics.values(), deploys))
        # What was too much once may not be later: little by little, more is tried again.
        self._most_steps = min(MOST_STEPS, self._most_steps + self._most_steps // 8 + 1)
        self._steps = min(self._most_steps, max(1, MOST_POINTS // max(1, most)))
        return await asyncio.to_thread(self._read, grid, metrics, deploys)

    async def _ask(self, grid: Grid) -> tuple[dict[str, list[Series]], list[Series]]:
        try:
            async with asyncio.TaskGroup() as group:
                asked = {
                    metric: group.create_task(self._series(metric, promql, grid))
                    for metric, promql in self._expressions.items()
                }
                deploys = group.create_task(self._deploys(grid))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return {metric: task.result() for metric, task in asked.items()}, deploys.result()

    async def _deploys(self, grid: Grid) -> list[Series]:
        starts = self._mapping.deploys
        if starts is None:
            return []
        promql = deploys_of(
            starts, self._mapping.entity, self._cadence, self._mapping.version_label
        )
        return await self._series("deploys", promql, grid)

    async def _series(self, what: str, promql: str, grid: Grid) -> list[Series]:
        try:
            return await self._api.query_range(promql, grid.first, grid.last, grid.step)
        except SourceRefusedError as error:
            raise type(error)(self._name, f"{what}: {error.reason}") from None

    def _read(
        self, grid: Grid, metrics: dict[str, list[Series]], deploys: Sequence[Series]
    ) -> Gathered:
        table = Table(self._name, self._mapping.entity, grid)
        rows = table.rows(metrics, deploys)
        found = checked(rows, now=self._clock(), cadence_seconds=self._cadence, report_gaps=True)
        return replace(found, complaints=(*table.complaints, *found.complaints))


def _together(parts: Sequence[Gathered]) -> Gathered:
    telemetry = Telemetry.concat(part.telemetry for part in parts)
    return Gathered(telemetry, add_up(each for part in parts for each in part.complaints))


def _ceil(at: int, step: int) -> int:
    return -(-at // step) * step
