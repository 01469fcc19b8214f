"""The optimization deployment: experiments and studies, each on one replica and in Redis."""

import asyncio
from typing import Any

from config_store.quotas import Counted
from config_store.store import Version
from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.handler import ExperimentHandler
from deployments.optimization.experiments.judging import judge
from deployments.optimization.experiments.warm import warm
from deployments.optimization.studies.handler import StudyHandler
from deployments.optimization.studies.operations import Operation, Wake
from deployments.optimization.studies.suggestion_queue import SuggestionQueue
from deployments.runtime.batch import Batch
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.replica import Replica
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.handler import StateHandler
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from deployments.runtime.state.stage import KeyedStage, bytes_for_each, creation
from deployments.runtime.transport.frame import Frame
from deployments.runtime.version import VERSION

MODELS = {
    "bandit": "optimization/bandit",
    "bandit-feedback": "optimization/bandit",
    "bandit-evaluate": "optimization/off-policy",
    "bayes-opt": "optimization/gaussian-process",
    "bayes-opt-tell": "optimization/gaussian-process",
}
EXPERIMENTS = ("bandit", "bandit-feedback", "bandit-evaluate")
STUDIES = ("bayes-opt", "bayes-opt-tell")
# A snapshot holds thousands of decisions: it is worth a second of replay, and a megabyte.
SNAPSHOT_AFTER_ENTRIES, MOST_RESIDENTS = 1024, 1000
# Where the client says nothing, and a suggestion for the study is just being made.
USUAL_SECONDS = 0.004


class Optimization(KeyedStage[Configured]):
    def __init__(self, replica: Replica) -> None:
        # One for each, so that a suggestion does not wait for a policy to be judged.
        self._judging, self._suggesting = HelperProcess(), HelperProcess()
        self._suggestions = SuggestionQueue(self._suggesting, replica.loops)
        self._experiments = ExperimentHandler(replica.clocks.wall)
        experiments = _service(replica, self._experiments, "experiments")
        studies = _service(replica, StudyHandler(self._suggestions), "studies")
        services = dict.fromkeys(EXPERIMENTS, experiments) | dict.fromkeys(STUDIES, studies)
        super().__init__(replica, services)

    async def prepare(self) -> None:
        await asyncio.to_thread(warm)

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def compile(self, version: Version) -> Configured:
        return Configured.of(version.document)

    async def answer(self, frame: Frame, compiled: Configured) -> Frame:
        batch = Batch.from_frame(frame)
        service = self._services[batch.family]
        if batch.family == "bayes-opt":
            await wait_for_suggestions(batch, service, self._suggestions)
        prediction = await service.answer(batch, *self.model_of(batch.family), compiled)
        if batch.family == "bandit-evaluate":
            await judge(batch, prediction, self._judging)
        return prediction.to_frame()

    async def close(self) -> None:
        await self._suggestions.close()
        await super().close()
        await self._judging.close()
        await self._suggesting.close()


def _service(replica: Replica, handler: StateHandler[Any], quota: Counted) -> KeyedService[Any]:
    log = KeyLog(replica.redis, handler.kind)
    limits = StateCacheLimits(
        snapshot_after_entries=SNAPSHOT_AFTER_ENTRIES,
        most_residents=MOST_RESIDENTS,
        most_bytes=bytes_for_each(replica, 2),
    )
    begins = creation(replica, log, quota)
    return KeyedService(handler, log, replica.clocks.monotonic, limits, begins)


async def wait_for_suggestions(
    batch: Batch, service: KeyedService[Any], suggestions: SuggestionQueue
) -> None:
    """Wait outside the service's turn: the other studies are answered meanwhile."""
    asks: list[Operation] = batch.asks
    waits = {
        key: ask.get("wait", USUAL_SECONDS if suggestions.makes(key) else 0.0)
        for key, ask in zip(batch.keys, asks, strict=True)
        if ask["op"] == "ask"
    }
    waits = {key: seconds for key, seconds in waits.items() if seconds}
    if asleep := [key for key in waits if not suggestions.knows(key)]:
        wake = [Wake(op="wake")] * len(asleep)
        ids = [f"wake {key}" for key in asleep]
        await service.answer(Batch(batch.family, asleep, {}, wake, asleep, ids), "", "")
    await suggestions.wait_for_suggestions(list(waits.items()))
