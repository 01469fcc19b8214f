"""What a forecasting replica keeps at hand: the hours, and by choice the models and their table."""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from config_store.shared_loads import SharedLoads
from deployments.api.capacity import MODELS
from deployments.forecasting import planner
from deployments.forecasting.hourly_offsets import HourlyOffsets
from deployments.forecasting.loaded_models import Chosen, LoadedModels, registered_name
from deployments.forecasting.past import Past, end_of, past_of
from deployments.forecasting.pending_forecasts import DAY_AHEAD, PendingForecasts
from deployments.forecasting.table import ForecastTable
from deployments.history import client as history
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from deployments.runtime.batch import DEMO_META, Batch, Prediction
from deployments.runtime.coverage.outcomes import OutcomeRecorder
from deployments.runtime.replica import Replica
from models.forecasting.seasonal_naive import SeasonalNaive

# Telemetry of an hour's last minute is there by then.
SETTLED_SECONDS = 30
# Where the history has no such hour yet, for its clock is behind or its store is empty.
READ_AGAIN_SECONDS = 10.0
HISTORY_DAYS = 60
HOUR = 3600

log = logging.getLogger(__name__)


class Plans(NamedTuple):
    """How a version has plans made: the usual forecaster, and which models there are."""

    model: str
    chosen: Chosen


@dataclass(slots=True)
class Forecasts:
    """The models of one choice, and what they predict."""

    models: LoadedModels
    table: ForecastTable


class ForecastService:
    """`look` is called every second; answering never waits for it.

    A version chooses models. A choice that no version has made before is waited for.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._by_choice: dict[Chosen, Forecasts] = {}
        self._begun: SharedLoads[Chosen, Forecasts] = SharedLoads()
        self.online = HourlyOffsets(replica.redis)
        self._outcomes = OutcomeRecorder(replica.redis, replica.clocks.monotonic)
        self.next_hour = PendingForecasts(replica.redis, self._outcomes, self.online)
        self.day_ahead = PendingForecasts(replica.redis, self._outcomes, self.online, DAY_AHEAD)
        self.past: dict[str, Past] = {}
        # The past holds all of every hour before this one.
        self._past_until = 0
        self._read_again_at = 0.0

    async def tidy(self) -> None:
        """Save outcomes' states that have grown long, and let go of idle ones."""
        await self._outcomes.tidy()

    async def close(self) -> None:
        await self._outcomes.close()

    def known(self, chosen: Chosen) -> Forecasts | None:
        return self._by_choice.get(chosen)

    async def of(self, chosen: Chosen) -> Forecasts:
        """Give the forecasts of a choice, making them where that was not done yet."""
        return self._by_choice.get(chosen) or await self._begun.get(
            chosen, partial(self._begin, chosen)
        )

    def prefetch(self, chosen: Chosen) -> None:
        """Begin to make what batches will soon ask for."""
        if chosen not in self._by_choice:
            self._begun.start(chosen, partial(self._begin, chosen))

    def answer(self, batch: Batch, forecasts: Forecasts) -> Prediction:
        started = time.perf_counter()
        names = [MODELS[int(code)] for code in batch.columns["model"].tolist()]
        table, models = forecasts.table, forecasts.models
        ahead = [table.ahead(*each) for each in zip(batch.entities, names, strict=True)]
        capacity = models.capacity
        plan = None if capacity is None else capacity.model
        columns, details = planner.answer(batch.columns, batch.entities, ahead, plan, self.online)
        for detail, wanted, each in zip(details, names, ahead, strict=True):
            if detail is not None:
                detail["meta"] = {
                    "model": registered_name(each.answered_by),
                    "model_version": models.version_of(each.answered_by),
                    "degraded": each.answered_by != wanted or plan is None,
                    **(DEMO_META if models.learned_from_demo(each.answered_by) else {}),
                }
        self._replica.metrics.inferred("capacity", time.perf_counter() - started)
        return Prediction(columns, "forecasting/chain", "1", details)

    def make(self, models: LoadedModels) -> ForecastTable:
        """Forecast everything anew. Blocking: for a thread."""
        forecasters = {name: each.model for name, each in models.forecasters.items()}
        forecasters.setdefault(SeasonalNaive.name, SeasonalNaive())
        now = self._replica.clocks.wall()
        return ForecastTable(forecasters, models.missing, self.past, now, MODELS)

    async def _begin(self, chosen: Chosen) -> Forecasts:
        models = LoadedModels(self._replica.settings.paths.models, chosen, self._loaded)
        await asyncio.to_thread(models.look)
        found = Forecasts(models, await asyncio.to_thread(self.make, models))
        self._by_choice[chosen] = found
        return found

    def _loaded(self) -> list[LoadedModels]:
        return [each.models for each in tuple(self._by_choice.values())]

    async def look(self, choices: Iterable[Chosen], usual: Plans) -> None:
        """Take new models, new hours and new offsets into account.

        Of choices that no version alive makes it lets go; `usual` is the active one's.
        """
        await self.online.refresh()
        if (coverage := self.online.mean_coverage()) is not None:
            self._replica.metrics.interval_coverage.labels("capacity").set(coverage)
        wanted = set(choices)
        for chosen in self._by_choice.keys() - wanted:
            del self._by_choice[chosen]
        hour = self._settled_hour()
        if not self.past or (
            hour > self._past_until and self._replica.clocks.wall() >= self._read_again_at
        ):
            await self._read_past(hour)
        failures = []
        for chosen in wanted:
            try:
                await self._follow(chosen, hour)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the others are followed
                failures.append(failure)
        for pending in (self.next_hour, self.day_ahead):
            if (answering := self.known(usual.chosen)) is not None:
                await pending.note(answering.table, usual.model)
            await pending.settle(self.past, self._past_until)
        if failures:
            raise failures[0]

    async def _follow(self, chosen: Chosen, hour: int) -> None:
        """Make a choice's table anew where its models, the hour or the past have changed."""
        forecasts = await self.of(chosen)
        before = forecasts.table
        changed = await asyncio.to_thread(forecasts.models.look)
        if changed or hour > before.hour or before.past is not self.past:
            forecasts.table = await asyncio.to_thread(self.make, forecasts.models)

    def _settled_hour(self) -> int:
        """Give the present hour; shortly after its begin still the one before."""
        return int(self._replica.clocks.wall() - SETTLED_SECONDS) // HOUR

    async def _read_past(self, hour: int) -> None:
        """Read the past up to an hour; while the history is away the next look tries again."""
        try:
            stored = await history.ask(Questions.hours, HISTORY_DAYS)
        except HistoryAwayError as away:
            log.warning("The hours cannot be read from the history: %s", away.message)
            return
        found = past_of(stored)
        # The history goes by a clock of its own, which may be behind.
        until = min(hour, end_of(found) // HOUR)
        if until < hour:
            self._read_again_at = self._replica.clocks.wall() + READ_AGAIN_SECONDS
        if until > self._past_until or not self.past:
            self.past, self._past_until = found or self.past, until  # tables are made anew for it
