"""The optimization deployment: experiments and studies, each on one replica and in Redis."""

import asyncio
from typing import Any

from config_store.quotas import Counted
from config_store.store import Version
from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.judging import judge
from deployments.runtime.aside.process import Aside
from deployments.runtime.batch import Batch
from deployments.runtime.state.keeper import Keeper
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from deployments.runtime.state.shelf import ShelfLimits
from deployments.runtime.state.stage import KeyedStage
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


class Optimization(KeyedStage[Configured]):
    async def __init__(self) -> None:  # type: ignore[misc] # Serve awaits it
        super().__init__("optimization")
        # The keepers bring the models with them, which building the application need not pay.
        from deployments.optimization.experiments.keeper import ExperimentKeeper  # noqa: PLC0415 - see above
        from deployments.optimization.experiments.warm import warm  # noqa: PLC0415 - see above
        from deployments.optimization.studies.shelf import SuggestionShelf  # noqa: PLC0415 - see above
        from deployments.optimization.studies.waiting import wait_for_some  # noqa: PLC0415 - see above

        self._wait_for_some = wait_for_some
        # One for each, so that a suggestion does not wait for a policy to be judged.
        self._judging, self._suggesting = Aside(), Aside()
        self._suggestions = SuggestionShelf(self._suggesting, self.replica.loops)
        self._experiments = ExperimentKeeper(self.replica.clocks.wall)
        await asyncio.to_thread(warm)
        await self.open()

    def services(self) -> dict[str, KeyedService[Any]]:
        from deployments.optimization.studies.keeper import StudyKeeper  # noqa: PLC0415 - as above

        experiments = self._service(self._experiments, "experiments")
        studies = self._service(StudyKeeper(self._suggestions), "studies")
        return dict.fromkeys(EXPERIMENTS, experiments) | dict.fromkeys(STUDIES, studies)

    def model_of(self, family: str) -> tuple[str, str]:
        return MODELS[family], VERSION

    def compile(self, version: Version) -> Configured:
        return Configured.of(version.document)

    async def answer(self, frame: Frame, compiled: Configured) -> Frame:
        batch = Batch.from_frame(frame)
        service = self._services[batch.family]
        if batch.family == "bayes-opt":
            await self._wait_for_some(batch, service, self._suggestions)
        prediction = await service.answer(batch, *self.model_of(batch.family), compiled)
        if batch.family == "bandit-evaluate":
            await judge(batch, prediction, self._judging)
        return prediction.to_frame()

    async def close(self) -> None:
        await self._suggestions.close()
        await super().close()
        await self._judging.close()
        await self._suggesting.close()

    async def __del__(self) -> None:
        await self.close()

    def _service(self, keeper: Keeper[Any], quota: Counted) -> KeyedService[Any]:
        log = KeyLog(self.replica.redis, keeper.kind)
        clock, creation = self.replica.clocks.monotonic, self.creation(log, quota)
        limits = ShelfLimits(
            snapshot_after_entries=SNAPSHOT_AFTER_ENTRIES,
            most_residents=MOST_RESIDENTS,
            most_bytes=self.bytes_for_each(2),
        )
        return KeyedService(keeper, log, clock, limits, creation)
