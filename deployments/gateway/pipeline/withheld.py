"""Withheld answers: those that no client is given, with the reason, and withdrawn from the state.

A decision that nobody was given can have no reward, and a trial that nobody was given no outcome.
So the replica that holds the state is asked to withdraw them. That goes on after the client has its
answer; where the replica cannot be reached, what it kept stands.
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

WITHDRAW_SECONDS = 2.0
IN_EMERGENCY = (
    "Emergency mode is on, in which no model answers: nothing was accepted. Send the request again "
    "after the mode has ended"
)
BY_POLICY = (
    "The safety policy allows no answer to this request, and there is no fallback for it: an "
    "operator sees the reason with GET /safety/violations"
)

log = logging.getLogger(__name__)


def may_ask_model(family: InferenceEndpoint, *, emergency: bool) -> bool:
    """Tell whether the model may be asked; UnavailableError where nothing else could answer."""
    allowed = family.asked_in_emergency or not emergency
    if not allowed and not family.has_fallback:
        raise UnavailableError(IN_EMERGENCY)
    return allowed


def refuse_withheld(family: InferenceEndpoint, judgement: Judgement) -> None:
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


class Withdrawals:
    """Asks the replicas that hold one family's states to withdraw what nobody was given."""

    def __init__(self, family: InferenceEndpoint, model: ModelHop, ids: DecisionIds) -> None:
        self._family = family
        self._model = model
        self._ids = ids
        self._sending: set[asyncio.Task[None]] = set()

    def begin(self, batch: Batch, prediction: Prediction, judgement: Judgement) -> None:
        """Withdraw what the model said of a batch and its clients do not get."""
        if not self._family.keeps_answers or not (judgement.rungs.any() or judgement.refusals):
            return
        withheld = {*np.flatnonzero(judgement.fallback).tolist(), *judgement.refusals}
        by_key: dict[str, list[str]] = {}
        for row in sorted(withheld):
            # Where the replica said nothing, it has nothing to withdraw.
            if prediction.details and prediction.details[row] is not None:
                by_key.setdefault(batch.keys[row], []).append(batch.ids[row])
        if not by_key:
            return
        withdrawal = self._withdrawal(batch, by_key, reusable=bool(judgement.emergency))
        task = asyncio.ensure_future(self._send(withdrawal))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def drain(self) -> None:
        while self._sending:
            await asyncio.wait(self._sending)

    def _withdrawal(self, batch: Batch, by_key: dict[str, list[str]], *, reusable: bool) -> Batch:
        keys = list(by_key)
        asks = [
            Withdraw(op="withdraw", decisions=each, reusable=reusable) for each in by_key.values()
        ]
        made = Batch(batch.family, keys, {}, asks, keys, self._ids.take(len(keys)))
        made.requests, made.budget_s = batch.requests, WITHDRAW_SECONDS
        made.version, made.config_hash = batch.version, batch.config_hash
        return made

    async def _send(self, withdrawal: Batch) -> None:
        try:
            found = await self._model(withdrawal, WITHDRAW_SECONDS)
        except StageLostError as lost:
            log.warning("%s; decisions that nobody was given stay in its state", lost)
            return
        for row, why in found.refusals.items():
            log.warning(
                "What nobody was given stays in the state of %r: %s",
                withdrawal.keys[row],
                why["message"],
            )
