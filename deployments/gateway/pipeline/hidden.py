"""Answers that a client is not given: why it is told so, and what the model's state keeps of them.

A decision that nobody was given can have no reward, and a trial that nobody was given no outcome.
So the holder of the state is told, and takes them back. That goes on after the client has its
answer; where the holder cannot be reached, what it kept stands.
"""

import asyncio
import logging

import numpy as np

from deployments.api.endpoint import InferenceEndpoint
from deployments.api.errors import StageLostError, UnavailableError
from deployments.runtime.batch import Batch, Judgement, Prediction, Refusal
from deployments.runtime.hop import ModelHop
from deployments.runtime.state.operations import Withdraw
from observability.ledger.decision import DecisionIds

TELL_SECONDS = 2.0
IN_EMERGENCY = (
    "Emergency mode is on, and no model's word leaves: nothing was accepted. Send it again once "
    "the mode has ended"
)
BY_POLICY = (
    "The safety policy lets no answer leave here, and nothing stands in for it: an operator finds "
    "out why with GET /safety/violations"
)

log = logging.getLogger(__name__)


def check_asked(family: InferenceEndpoint, *, emergency: bool) -> bool:
    """Tell whether the model is asked at all; UnavailableError where nobody could answer then."""
    asked = family.asked_in_emergency or not emergency
    if not asked and not family.has_fallback:
        raise UnavailableError(IN_EMERGENCY)
    return asked


def refuse_hidden(family: InferenceEndpoint, judgement: Judgement) -> None:
    """Refuse rows whose answer may not leave, where nothing can be said in its place."""
    if family.has_fallback or not judgement.rungs.any():
        return
    refusal: Refusal = (
        {"code": "unavailable", "message": IN_EMERGENCY}
        if judgement.emergency
        else {"code": "policy", "message": BY_POLICY}
    )
    for row in np.flatnonzero(judgement.fallback).tolist():
        judgement.refusals.setdefault(row, refusal)


class TakingBack:
    """Tells the holders of one family's states what nobody was given."""

    def __init__(self, family: InferenceEndpoint, model: ModelHop, ids: DecisionIds) -> None:
        self._family = family
        self._model = model
        self._ids = ids
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self, batch: Batch, prediction: Prediction, judgement: Judgement) -> None:
        """Have taken back what the model said of a batch and its clients do not hear."""
        if not self._family.keeps_answers or not (judgement.rungs.any() or judgement.refusals):
            return
        hidden = {*np.flatnonzero(judgement.fallback).tolist(), *judgement.refusals}
        by_key: dict[str, list[str]] = {}
        for row in sorted(hidden):
            # Where the holder said nothing, it has nothing to take back.
            if prediction.details and prediction.details[row] is not None:
                by_key.setdefault(batch.keys[row], []).append(batch.ids[row])
        if not by_key:
            return
        asked = self._asked(batch, by_key, reusable=bool(judgement.emergency))
        task = asyncio.ensure_future(self._tell(asked))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def drain(self) -> None:
        while self._telling:
            await asyncio.wait(self._telling)

    def _asked(self, batch: Batch, by_key: dict[str, list[str]], *, reusable: bool) -> Batch:
        keys = list(by_key)
        asks = [
            Withdraw(op="withdraw", decisions=each, reusable=reusable) for each in by_key.values()
        ]
        told = Batch(batch.family, keys, {}, asks, keys, self._ids.take(len(keys)))
        told.requests, told.budget_s = batch.requests, TELL_SECONDS
        told.version, told.config_hash = batch.version, batch.config_hash
        return told

    async def _tell(self, asked: Batch) -> None:
        try:
            found = await self._model(asked, TELL_SECONDS)
        except StageLostError as lost:
            log.warning("%s; decisions that nobody was given stay in its state", lost)
            return
        for row, why in found.refusals.items():
            log.warning(
                "What nobody was given stays in the state of %r: %s",
                asked.keys[row],
                why["message"],
            )
