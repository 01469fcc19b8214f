"""What a forecasting replica keeps at hand: the models, the hours, the board made of both."""

import asyncio
import logging
import time
from typing import Any

from redis.exceptions import RedisError

from deployments import history
from deployments.batch import Batch, Prediction
from deployments.coverage.outcomes import Outcomes
from deployments.coverage.standings import Standings
from deployments.errors import RefusedError
from deployments.families.capacity import MODELS
from deployments.forecasts import planner
from deployments.forecasts.board import Board, hourly_scores
from deployments.forecasts.past import Past, past_of
from deployments.forecasts.shelf import ModelShelf, registered_name
from deployments.history import HistoryAwayError
from deployments.replica import Replica
from models.forecasting.seasonal_naive import SeasonalNaive

# Telemetry of an hour's last minute is there by then.
SETTLED_SECONDS = 30
HISTORY_DAYS = 60
HOUR = 3600

log = logging.getLogger(__name__)


class Office:
    """`look` is called every second; answering never waits for it."""

    def __init__(self, replica: Replica, model: str, alias: str) -> None:
        self._replica = replica
        self.model = model
        self.shelf = ModelShelf(replica.settings.paths.models, alias)
        self.standings = Standings(replica.redis, "capacity")
        self._outcomes = Outcomes(replica.redis, replica.clocks.monotonic)
        self.past: dict[str, Past] = {}

    async def open(self) -> None:
        await asyncio.to_thread(self.shelf.look)
        self.board = await asyncio.to_thread(self.make)

    async def close(self) -> None:
        await self._outcomes.close()

    def answer(self, batch: Batch) -> Prediction:
        started = time.perf_counter()
        names = [MODELS[int(code)] for code in batch.columns["model"].tolist()]
        board = self.board
        ahead = [board.ahead(*each) for each in zip(batch.entities, names, strict=True)]
        capacity = self.shelf.capacity
        plan = None if capacity is None else capacity.model
        columns, details = planner.answer(
            batch.columns, batch.entities, ahead, plan, self.standings
        )
        for detail, wanted, each in zip(details, names, ahead, strict=True):
            if detail is not None:
                detail["meta"] = {
                    "model": registered_name(each.answered_by),
                    "model_version": self.shelf.version_of(each.answered_by),
                    "degraded": each.answered_by != wanted or plan is None,
                }
        self._replica.metrics.inferred("capacity", time.perf_counter() - started)
        return Prediction(columns, "forecasting/chain", "1", details)

    def make(self) -> Board:
        """Forecast everything anew. Blocking: for a thread."""
        forecasters = {name: each.model for name, each in self.shelf.forecasters.items()}
        forecasters.setdefault(SeasonalNaive.name, SeasonalNaive())
        now = self._replica.clocks.wall()
        return Board(forecasters, self.shelf.missing, self.past, now, MODELS)

    async def look(self) -> None:
        """Take new champions, new hours and new standings into account."""
        await self.standings.refresh()
        if (coverage := self.standings.mean_coverage()) is not None:
            self._replica.metrics.interval_coverage.labels("capacity").set(coverage)
        changed = await asyncio.to_thread(self.shelf.look)
        now = self._replica.clocks.wall()
        over = int(now - SETTLED_SECONDS) // HOUR > self.board.hour
        if over or not self.past:
            await self._read_past()
        if changed or over or (self.past and not self.board.entities):
            before = self.board
            self.board = await asyncio.to_thread(self.make)
            if over:
                await self.tell_outcomes(before)

    async def _read_past(self) -> None:
        try:
            stored: dict[str, Any] = await history.ask("hours", HISTORY_DAYS)
        except HistoryAwayError as away:
            log.warning("The history gives no hours: %s", away.message)
            return
        self.past = past_of(stored)

    async def tell_outcomes(self, before: Board) -> None:
        """Let the intervals learn from the hour that is over; each hour counts once."""
        usual = self.model.removeprefix("forecasting/")
        for ask in hourly_scores(before, self.past, usual):
            entity = ask.pop("entity")
            try:
                await self._outcomes.take("capacity", entity, ask)
            except RefusedError as refusal:  # another replica told it, or Redis is away
                log.info("An hour's outcome was not taken: %s", refusal.message)
            except (RedisError, OSError) as away:
                log.info("An hour's outcome was not taken: %s", type(away).__name__)
