"""The tail deployment: bounds the latency of a whole batch in one vectorised call."""

import asyncio
import time
from contextlib import suppress

from config_store.errors import VersionAwayError
from config_store.pinning import pinned_version
from config_store.store import Version
from deployments.api.extremes import EXTREMES
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.champions import Champions, Loaded, NamedModel
from deployments.runtime.coverage.online_offsets import OnlineOffsets
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.replica import Replica
from deployments.runtime.stage import LOAD_SECONDS, Stage
from deployments.runtime.transport.frame import Frame
from deployments.runtime.version import VERSION
from deployments.tail.answering import answer_rows, bounded_details
from deployments.tail.extremes.answering import warm
from deployments.tail.extremes.fitting import Fitting
from deployments.tail.extremes.metrics import FRESH_SECONDS, MetricSeries, wanted_of
from models.errors import UnknownModelError
from models.model_version import ModelVersion, folder_name
from models.pointer import read_pointer
from models.protocols import QuantileModel
from models.registry import Registry
from models.tail.resolution import END
from models.tail.xgboost_quantile import TailModel
from observability.background import BackgroundLoop

# How soon a promoted champion answers; a rollback is promised within five seconds.
LOOK_FOR_CHAMPION_SECONDS = 1.0

# What is named as the model where there is none.
FALLBACK = "tail/fallback"
NO_MODEL = "none has been trained yet; one is as soon as the telemetry's history is long enough"


class Tail(Stage[NamedModel]):
    def __init__(self, replica: Replica) -> None:
        super().__init__(replica)
        settings = replica.settings
        self._registry = Registry(settings.tracking_uri, settings.paths.models)
        self._champions: Champions[QuantileModel] = Champions(self._find, _load)
        self._fitting = Fitting(HelperProcess())
        self._online = OnlineOffsets(replica.redis, "tail")
        self._metrics = MetricSeries(replica.clocks.monotonic)

    async def prepare(self) -> None:
        """Load the champion where there is one."""
        with suppress(UnknownModelError):  # the fallback answers until one is trained
            await self._champions.get(self.compile(await self.replica.config_once()))

    async def warm(self) -> None:
        """Have the fits of extremes compiled."""
        await asyncio.to_thread(warm)

    def start_work(self) -> list[BackgroundLoop]:
        loops = self.replica.loops
        return [
            loops.start("follow the champion", self._follow, lambda: LOOK_FOR_CHAMPION_SECONDS),
            loops.start("read metric series", self._metrics.refresh, lambda: FRESH_SECONDS),
        ]

    async def answer(self, frame: Frame, compiled: NamedModel) -> Frame:
        if frame.head["family"] == EXTREMES.name:
            return await self._answer_extremes(Batch.from_frame(frame))
        champion = await self._champion(compiled)
        if champion is None:
            why = self._champions.absent(compiled) or NO_MODEL
            return Prediction({}, FALLBACK, "none", reason=why).to_frame()
        version = champion.version
        started = time.perf_counter()
        entities: list[str] = frame.head.get("entities", [])
        columns = answer_rows(champion.model, frame.columns, entities)
        self.replica.metrics.inferred(version.name, time.perf_counter() - started)
        prediction = Prediction(
            columns,
            version.name,
            version.version,
            digest=version.digest,
            of_demo=version.of_demo,
        )
        if END in columns:
            prediction.details = bounded_details(columns, frame.columns["slo_ms"], entities)
        if self._online and columns:
            self._widen(prediction, entities)
        return prediction.to_frame()

    async def _champion(self, compiled: NamedModel) -> Loaded[QuantileModel] | None:
        """Give the model that the alias names; None where it names none."""
        loaded = self._champions.loaded(compiled)
        if loaded is None and self._champions.absent(compiled) is None:
            with suppress(UnknownModelError):
                return await self._champions.get(compiled)
        return loaded

    async def _answer_extremes(self, batch: Batch) -> Frame:
        named = [name for name in wanted_of(batch) if name is not None]
        series = await self._metrics.get(named) if named else {}
        started = time.perf_counter()
        prediction: Prediction = await self._fitting.answer(batch, series, VERSION)
        self.replica.metrics.inferred(prediction.model, time.perf_counter() - started)
        return prediction.to_frame()

    def _widen(self, prediction: Prediction, entities: list[str]) -> None:
        """Widen the intervals of entities whose outcomes have come back."""
        columns = prediction.columns
        widened = self._online.widen(entities, columns["lower"], columns["upper"])
        columns["lower"], columns["upper"] = widened.lower, widened.upper
        said = prediction.details or [None] * len(entities)
        prediction.details = [
            detail
            if record is None
            else {**(detail or {}), "interval": {"method": "cqr+aci", "online": record}}
            for detail, record in zip(said, widened.records, strict=True)
        ]

    def compile(self, version: Version) -> NamedModel:
        tail = version.document.serving.tail
        return NamedModel.of(version.document, tail.model, tail.alias)

    def configure(self, version: Version) -> None:
        super().configure(version)
        self._champions.prefetch(self.versions.active.compiled)

    async def make_ready(self, compiled: NamedModel) -> None:
        """Load its model; a pin that cannot be loaded is not ready."""
        if compiled.pin is not None:
            await self._champions.get(compiled)
        else:
            await self._champion(compiled)

    def _find(self, named: NamedModel) -> ModelVersion:
        """Find what is pinned, or what the alias's pointer file names.

        Only where there is no such file is MLflow itself asked, and not where no version lies in
        the folder: there is none that it could name.
        """
        folder = self.replica.settings.paths.models
        if named.pin is not None:
            return pinned_version(folder, named.model, named.pin)
        if not named.follows:
            raise UnknownModelError(f"model {named.model!r}: {NO_MODEL}")
        if (pointed := read_pointer(folder, named.model, named.alias)) is not None:
            return pointed
        if not (folder / folder_name(named.model)).is_dir():
            raise UnknownModelError(f"model {named.model!r}: {NO_MODEL}")
        return self._registry.resolve(named.model, named.alias)

    async def _follow(self) -> None:
        """Serve the models that versions name now; the loaded ones go on until then."""
        await self._online.refresh()
        if (coverage := self._online.mean_coverage()) is not None:
            self.replica.metrics.interval_coverage.labels("tail").set(coverage)
        await self._load_warm()
        alive = (live.compiled for live in self.versions.alive())
        await self._champions.follow(alive, self.versions.active.compiled)

    async def _load_warm(self) -> None:
        """Have the models of versions that may be rolled back to in memory, also after a start."""
        if (state := self.replica.steering.value) is None:
            return
        for number in state.warm:
            content_hash = state.versions[number].content_hash
            if self.versions.held(number, content_hash) is None:
                try:
                    live = await self.versions.get(number, content_hash, LOAD_SECONDS)
                except VersionAwayError as away:  # it is asked for again
                    self.load_failures.note(number, away)
                else:
                    self.load_failures.forget(number)
                    self._champions.prefetch(live.compiled)

    async def close(self) -> None:
        await self._fitting.close()


def _load(version: ModelVersion) -> QuantileModel:
    return TailModel.load(version.path)
