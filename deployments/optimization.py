"""The optimization deployment: experiments and studies, each on one replica and in Redis."""

import asyncio
import base64
import logging
from typing import Any

from ray import serve

from config_store.store import Version
from deployments.aside.process import Aside, AsideLostError
from deployments.batch import Batch, Prediction
from deployments.experiments.keeper import ExperimentKeeper
from deployments.keyed.log import KeyLog
from deployments.keyed.service import KeyedService
from deployments.keyed.shelf import ShelfLimits
from deployments.keyed.stage import KeyedStage
from deployments.version import VERSION
from deployments.wire.frame import Frame
from safety.bandits import largest_canary

MODELS = {
    "bandit": "optimization/bandit",
    "bandit-feedback": "optimization/bandit",
    "bandit-evaluate": "optimization/off-policy",
}
# A snapshot holds thousands of decisions: it is worth a second of replay.
LIMITS = ShelfLimits(snapshot_after_entries=1024)
# Of the cap, for the rounding of sums of probabilities.
_ROUNDING = 1e-9

log = logging.getLogger(__name__)


@serve.deployment(name="optimization")
class Optimization(KeyedStage):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("optimization")
        self._aside = Aside()
        self._experiments = ExperimentKeeper(self.replica.clocks.wall)
        await self.open()

    def services(self) -> dict[str, KeyedService[Any]]:
        service: KeyedService[Any] = KeyedService(
            self._experiments,
            KeyLog(self.replica.redis, self._experiments.kind),
            self.replica.clocks.monotonic,
            LIMITS,
        )
        return dict.fromkeys(("bandit", "bandit-feedback", "bandit-evaluate"), service)

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def configure(self, version: Version) -> None:
        document = version.document
        allowed = min(document.bandits.canary_cap, largest_canary(document.safety))
        self._experiments.bandits = document.bandits
        self._experiments.cap = allowed * (1 - _ROUNDING)

    async def answer(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        service = self._services[batch.family]
        prediction = await service.answer(batch, *self.model_of(batch.family))
        if batch.family == "bandit-evaluate":
            await asyncio.gather(*(self._judge(batch, prediction, at) for at in range(len(batch))))
        return prediction.to_frame()

    async def _judge(self, batch: Batch, prediction: Prediction, row: int) -> None:
        """Judge a policy beside the loop: it takes hundreds of milliseconds."""
        if row in prediction.refusals:
            return
        detail = prediction.details[row] or {}
        frozen = base64.b64encode(detail["data"]["frozen"]).decode()
        try:
            found = await self._aside.do(
                "evaluate", frozen=frozen, policy=batch.asks[row]["policy"]
            )
        except AsideLostError as lost:
            log.warning("A policy was not judged: %s", lost)
            message = "The policy could not be judged just now: ask again"
            prediction.refusals[row] = {"code": "unavailable", "message": message}
            prediction.details[row] = None
            return
        prediction.details[row] = {"data": {"experiment": batch.keys[row], **found}}
        if robust := found["estimates"]["dr"]:
            for end in ("lower", "upper"):
                prediction.columns[end][row] = robust[end]

    async def close(self) -> None:
        await super().close()
        await self._aside.close()

    async def __del__(self) -> None:
        await self.close()
