"""A batch's way: features, the family's model, safety, the ledger, and only then the clients.

All of a batch's rows have one version, by which every stage answers them.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from config_store.quotas import Counted, QuotasConfig
from config_store.store import Version
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import LateError, StageLostError, UnavailableError
from deployments.gateway.pipeline.answers import (
    Answered,
    Circumstances,
    LaneRow,
    StageResults,
    in_place,
    refused,
    write_down,
)
from deployments.gateway.pipeline.time_left import TimeLeft
from deployments.gateway.pipeline.timings import Stopwatch
from deployments.gateway.pipeline.withheld import Withdrawals, may_ask_model, refuse_withheld
from deployments.runtime.batch import (
    Batch,
    Judgement,
    Owner,
    Prediction,
    filled_from_frame,
    nothing_filled,
    take_filled,
)
from deployments.runtime.clocks import Clocks
from deployments.runtime.hop import Hop, ModelHop
from deployments.runtime.state.tags import tagged
from deployments.safety.context_columns import ContextColumns, no_freezes
from features.fill import Filled, Freshness, fill
from observability.errors import LedgerError
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.writer import LedgerWriter
from observability.logs import request_ids
from safety.moments import Window

log = logging.getLogger(__name__)

# By which an answer says, and a rollout's judge reads, that the model was asked in vain.
AWAY = "The model did not answer in time, or was not there."


@dataclass(frozen=True, slots=True)
class Stages:
    features: Hop
    model: ModelHop
    safety: Hop


class InferencePipeline:
    """Carries the batches of one family."""

    def __init__(
        self,
        family: InferenceEndpoint,
        stages: Stages,
        ledger: LedgerWriter,
        ids: DecisionIds,
        clocks: Clocks,
        config_stale: Callable[[], bool],
        in_emergency: Callable[[], bool],
        stopwatch: Stopwatch,
        freezes: Callable[[], Sequence[Window]] = no_freezes,
    ) -> None:
        self._family = family
        self._stages = stages
        self._ledger = ledger
        self._ids = ids
        self._clocks = clocks
        self._config_stale = config_stale
        self._in_emergency = in_emergency
        self._stopwatch = stopwatch
        self._context = ContextColumns(family, freezes)
        self._withdrawals = Withdrawals(family, stages.model, ids)

    async def drain(self) -> None:
        """Wait until what nobody was given is withdrawn from the states."""
        await self._withdrawals.drain()

    async def carry(self, asks: list[LaneRow]) -> Sequence[Answered]:
        version = asks[0].version  # the lane's rows of one batch have the same
        is_shadow = bool(asks[0].shadow_of)  # its lane has no other rows
        lap = _no_lap if is_shadow else self._stopwatch.start(self._family.name, len(asks))
        deadlines = version.document.serving.of(self._family.name).deadlines
        left = TimeLeft(asks, deadlines, self._clocks.monotonic)
        batch = self._batch(asks, version)
        batch.is_shadow = is_shadow
        batch.emergency = self._in_emergency()
        # The lane carries each batch in a task of its own.
        request_ids.set(tuple(dict.fromkeys(batch.requests)))
        filled, features_lost = await self._fill(batch, version, left)
        lap("features")
        batch.columns |= filled.columns
        prediction = await self._predict(batch, left)
        lap("model")
        answered = refused(prediction.refusals, batch)
        places = list(range(len(asks)))
        if prediction.refusals:
            rows = [row for row in places if row not in answered]
            asks, batch = [asks[row] for row in rows], batch.take(rows)
            filled, prediction, places = take_filled(filled, rows), prediction.take(rows), rows
        if not asks:
            return [answered[row] for row in sorted(answered)]
        judgement = await self._judge(batch, prediction, version, left)
        refuse_withheld(self._family, judgement)
        self._withdrawals.begin(batch, prediction, judgement)
        lap("safety")
        if not is_shadow:
            self._stopwatch.judged(self._family.name, judgement)
        if judgement.refusals:
            found = refused(judgement.refusals, batch)
            answered |= {places[row]: each for row, each in found.items()}
            rows = [row for row in range(len(asks)) if row not in found]
            if not rows:
                return [answered[row] for row in sorted(answered)]
            asks, batch, judgement = (
                [asks[row] for row in rows],
                batch.take(rows),
                judgement.take(rows),
            )
            filled, prediction = take_filled(filled, rows), prediction.take(rows)
        shared = Circumstances(
            version=version,
            degraded=self._config_stale() or features_lost or self._ledger.degraded,
            features_lost=features_lost,
            now=self._clocks.wall(),
            monotonic=self._clocks.monotonic(),
        )
        results = StageResults(batch, filled, prediction, judgement)
        ids = self._own_ids(batch.ids, judgement)
        written, decisions = write_down(self._family, asks, ids, results, shared)
        lap("encode")
        await self._record(decisions, left)
        lap("ledger")
        return in_place(written, answered) if answered else written

    def _own_ids(self, ids: list[str], judgement: Judgement) -> list[str]:
        """Give a fallback's decision an id by which no feedback finds the model's own."""
        if self._family.key is None or not judgement.fallback.any():
            return ids
        fell_back = judgement.fallback.tolist()
        fresh = self._ids.take(len(ids))
        return [new if fell else old for old, new, fell in zip(ids, fresh, fell_back, strict=True)]

    async def _record(self, decisions: list[Decision], left: TimeLeft) -> None:
        budget = left.for_ledger()
        try:
            async with asyncio.timeout(budget):
                await self._ledger.append(decisions, left.ledger_limit())
        except TimeoutError as late:
            raise LateError from late
        except LedgerError as error:
            raise UnavailableError(
                "The ledger cannot write entries, and no answer is sent unrecorded: try again"
            ) from error

    def _batch(self, asks: list[LaneRow], version: Version) -> Batch:
        family = self._family
        bodies = [ask.body for ask in asks]
        columns = family.columns(bodies, version.document)
        batch = Batch(family.name, [body.entity for body in bodies], columns)
        batch.version, batch.config_hash = version.number, version.config_hash
        batch.ids = self._ids.take(len(asks))
        batch.requests = [ask.request_id for ask in asks]
        if family.ask is not None:
            batch.asks = [family.ask(body) for body in bodies]
        if family.key is not None:
            batch.keys = [family.key(body) for body in bodies]
            ids = [ask.decision_id or new for ask, new in zip(asks, batch.ids, strict=True)]
            batch.ids = [tagged(*each) for each in zip(ids, batch.keys, strict=True)]
        if family.creates is not None:
            batch.owners = _owners(asks, version.document.quotas, family.creates)
        return batch

    async def _fill(self, batch: Batch, version: Version, left: TimeLeft) -> tuple[Filled, bool]:
        """Ask for features; when they are lost, go on with what the configuration assumes."""
        if not self._family.features:
            return nothing_filled(len(batch)), False
        budget = left.for_features()
        try:
            filled = filled_from_frame(await self._stages.features(batch.to_frame(), budget))
        except StageLostError as lost:
            log.warning("%s; the batch continues with assumed features", lost)
        else:
            return filled, False
        config = version.document.features
        fresh = Freshness(self._clocks.wall(), config.stale_after_seconds)
        needed = self._family.features
        return fill(needed, batch.entities, batch.columns, {}, config.defaults, fresh), True

    async def _predict(self, batch: Batch, left: TimeLeft) -> Prediction:
        """Ask the model; when it is lost, an empty prediction makes safety fall back."""
        batch.budget_s = left.for_model()
        if not may_ask_model(self._family, emergency=batch.emergency):
            return Prediction({}, f"{batch.family}/fallback", "none")
        try:
            return await self._stages.model(batch, batch.budget_s)
        except StageLostError as lost:
            if not self._family.falls_back:
                raise UnavailableError(
                    f"The deployment {self._family.stage} does not answer: try again"
                ) from lost
            log.warning("%s; the batch is answered by the fallback", lost)
            return Prediction({}, f"{batch.family}/fallback", "none", reason=AWAY)

    async def _judge(
        self, batch: Batch, prediction: Prediction, version: Version, left: TimeLeft
    ) -> Judgement:
        """Ask safety; without its judgement nothing leaves."""
        judged = Batch(
            batch.family,
            batch.entities,
            batch.columns | prediction.columns,
            requests=batch.requests,
            version=batch.version,
            config_hash=batch.config_hash,
            emergency=batch.emergency or self._in_emergency(),
            is_shadow=batch.is_shadow,
        )
        details = prediction.details
        judged, items = self._context.to_safety(judged, details, version, self._clocks.wall())
        budget = left.for_safety()
        try:
            answer = await self._stages.safety(judged.to_frame(), budget)
        except StageLostError as lost:
            raise UnavailableError(
                "The safety layer does not answer, and no answer is sent without it: try again"
            ) from lost
        return self._context.from_safety(Judgement.from_frame(answer), details, items, version)


def _no_lap(_: str) -> None:
    """Time nothing: what a shadow answers is no load of the clients'."""


def _owners(asks: Sequence[LaneRow], quotas: QuotasConfig, counted: Counted) -> list[Owner | None]:
    """Name each row's key, and how many states it may create."""
    principals = dict.fromkeys(ask.principal for ask in asks)
    owners = {each: (each.key_id, int(getattr(quotas.of(each), counted))) for each in principals}
    return [owners[ask.principal] for ask in asks]
