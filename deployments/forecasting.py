"""The forecasting deployment: looks forecasts up on its board, and turns them into plans."""

import asyncio
import logging
import time
from typing import Any

from ray import serve
from ray.exceptions import RayError
from redis.exceptions import RedisError

from config_store.store import Version
from deployments.batch import Batch, Prediction
from deployments.coverage.outcomes import Outcomes
from deployments.coverage.standings import Standings
from deployments.errors import RefusedError
from deployments.families.capacity import MODELS
from deployments.forecasts import planner
from deployments.forecasts.board import Board, hourly_scores
from deployments.forecasts.past import Past, past_of
from deployments.forecasts.shelf import ModelShelf, registered_name
from deployments.history import history
from deployments.rounds import end, every
from deployments.stage import Stage
from deployments.wire.frame import Frame
from models.forecasting.seasonal_naive import SeasonalNaive

LOOK_SECONDS = 1.0
# Telemetry of an hour's last minute is there by then.
SETTLED_SECONDS = 30
HISTORY_DAYS = 60
HOUR = 3600

log = logging.getLogger(__name__)


@serve.deployment(name="forecasting")
class Forecasting(Stage):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("forecasting")
        self.configure(await self.replica.config_once())
        folder = self.replica.settings.paths.models
        self._shelf = ModelShelf(folder, self._serving.alias)
        self._standings = Standings(self.replica.redis, "capacity")
        self._outcomes = Outcomes(self.replica.redis, self.replica.clocks.monotonic)
        self._past: dict[str, Past] = {}
        await asyncio.to_thread(self._shelf.look)
        self._board = await asyncio.to_thread(self._make)
        await self.open()
        self._looking = asyncio.create_task(every(lambda: LOOK_SECONDS, self._look))

    async def answer(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        started = time.perf_counter()
        names = [MODELS[int(code)] for code in batch.columns["model"].tolist()]
        board = self._board
        ahead = [board.ahead(*each) for each in zip(batch.entities, names, strict=True)]
        capacity = self._shelf.capacity
        plan = None if capacity is None else capacity.model
        columns, details = planner.answer(
            batch.columns, batch.entities, ahead, plan, self._standings
        )
        for detail, wanted, each in zip(details, names, ahead, strict=True):
            if detail is not None:
                detail["meta"] = {
                    "model": registered_name(each.answered_by),
                    "model_version": self._shelf.version_of(each.answered_by),
                    "degraded": each.answered_by != wanted or plan is None,
                }
        self.replica.metrics.inferred("capacity", time.perf_counter() - started)
        return Prediction(columns, "forecasting/chain", "1", details).to_frame()

    def configure(self, version: Version) -> None:
        self._serving = version.document.serving["capacity"]

    def _make(self) -> Board:
        forecasters = {name: each.model for name, each in self._shelf.forecasters.items()}
        forecasters.setdefault(SeasonalNaive.name, SeasonalNaive())
        now = self.replica.clocks.wall()
        return Board(forecasters, self._shelf.missing, self._past, now, MODELS)

    async def _look(self) -> None:
        """Take new champions, new hours and new standings into account."""
        await self._standings.refresh()
        if (coverage := self._standings.mean_coverage()) is not None:
            self.replica.metrics.interval_coverage.labels("capacity").set(coverage)
        changed = await asyncio.to_thread(self._shelf.look)
        now = self.replica.clocks.wall()
        over = int(now - SETTLED_SECONDS) // HOUR > self._board.hour
        if over or not self._past:
            await self._read_past()
        if changed or over or (self._past and not self._board.entities):
            before = self._board
            self._board = await asyncio.to_thread(self._make)
            if over:
                await self._tell_outcomes(before)

    async def _read_past(self) -> None:
        try:
            stored: dict[str, Any] = await history().hours.remote(HISTORY_DAYS)
        except RayError as away:
            log.warning("The history gives no hours: %s", type(away).__name__)
            return
        self._past = past_of(stored)

    async def _tell_outcomes(self, before: Board) -> None:
        """Let the intervals learn from the hour that is over; each hour counts once."""
        usual = self._serving.model.removeprefix("forecasting/")
        for ask in hourly_scores(before, self._past, usual):
            entity = ask.pop("entity")
            try:
                await self._outcomes.take("capacity", entity, ask)
            except RefusedError as refusal:  # another replica told it, or Redis is away
                log.info("An hour's outcome was not taken: %s", refusal.message)
            except (RedisError, OSError) as away:
                log.info("An hour's outcome was not taken: %s", type(away).__name__)

    async def __del__(self) -> None:
        await end(self._looking)
        await self._outcomes.close()
        await self.close()
