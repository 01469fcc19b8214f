"""Asks the holder of a key for what no lane carries: to show it, to forget it, to judge it."""

from collections.abc import Callable, Mapping
from typing import Any

from config_store.store import Version
from deployments.anomaly.operations import JudgeDeploy
from deployments.api.errors import REFUSALS, StageLostError, UnavailableError
from deployments.api.front_ids import decisions_of, front_id
from deployments.optimization.experiments.operations import ChangeArm
from deployments.runtime.batch import Batch
from deployments.runtime.hop import ModelHop
from deployments.runtime.state.operations import Delete, Show
from observability.ledger.decision import DecisionIds
from observability.logs import request_ids

ASK_SECONDS = 2.0
# What the routes ask of one key; what a lane carries an endpoint makes of its bodies.
KeyOperation = Show | Delete | JudgeDeploy | ChangeArm


class StateClient:
    """One question at a time, outside the lanes: for people, not for load."""

    def __init__(
        self, hops: Mapping[str, ModelHop], ids: DecisionIds, active: Callable[[], Version]
    ) -> None:
        self._hops = hops
        self._ids = ids
        self._active = active

    async def ask(self, family: str, key: str, ask: KeyOperation) -> dict[str, Any]:
        """Give what the holder says; its refusal is raised."""
        ids = decisions_of(front_id.get(), 1) or self._ids.take(1)
        batch = Batch(family, [key], {}, [ask], [key], ids)
        batch.requests, batch.budget_s = list(request_ids.get()), ASK_SECONDS
        version = self._active()
        batch.version, batch.config_hash = version.number, version.config_hash
        try:
            prediction = await self._hops[family](batch, ASK_SECONDS)
        except StageLostError as lost:
            raise UnavailableError(
                "The replica that holds this state does not answer: try again"
            ) from lost
        if why := prediction.refusals.get(0):
            raise REFUSALS[why["code"]](why["message"], why.get("fields"))
        detail = prediction.details[0] or {}
        found: dict[str, Any] = detail.get("data", {})
        return found
