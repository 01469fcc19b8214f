"""A stage whose replicas hold state by key: its families' services, kept tidy."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from config_store.quotas import Counted
from deployments.runtime.batch import Batch
from deployments.runtime.replica import Replica
from deployments.runtime.stage import Compiled, Stage
from deployments.runtime.state.creation import Creation
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.service import KeyedService
from deployments.runtime.transport.frame import Frame
from observability.background import BackgroundLoop
from settings.redis_connection import REDIS_AWAY

TIDY_SECONDS = 1.0
REPAIR_AGAIN_SECONDS = 10.0


class KeyedStage(Stage[Compiled]):
    """A subclass makes the service of each family; families may share one.

    State has no version: what a row asks of it goes by the settings of the row's own version.
    """

    def __init__(self, replica: Replica, services: Mapping[str, KeyedService[Any]]) -> None:
        super().__init__(replica)
        self._services = services
        self._evicted: dict[str, int] = {}

    @abstractmethod
    def model_of(self, family: str) -> tuple[str, str]:
        """Name the model that answers a family, and its version."""

    def start_work(self) -> list[BackgroundLoop]:
        loops = self.replica.loops
        return [
            loops.start("tidy states", self._tidy, lambda: TIDY_SECONDS),
            # Meanwhile a key that is asked for is repaired then.
            loops.start(
                "repair states",
                Repair(self._distinct()).step,
                lambda: REPAIR_AGAIN_SECONDS,
                expected=REDIS_AWAY,
            ),
        ]

    async def answer(self, frame: Frame, compiled: Compiled) -> Frame:
        batch = Batch.from_frame(frame)
        service, model = self._services[batch.family], self.model_of(batch.family)
        return (await service.answer(batch, *model, compiled)).to_frame()

    async def tidy(self) -> None:
        """Do what else is to be done every second; a subclass may have such."""

    async def _tidy(self) -> None:
        await self.tidy()
        try:
            await tidy_all(self._distinct())
        finally:
            for service in self._distinct():
                self._note_states(service)

    def _note_states(self, service: KeyedService[Any]) -> None:
        kind, cache, metrics = service.handler.kind, service.cache, self.replica.metrics
        metrics.state_resident_bytes.labels(kind).set(cache.bytes)
        evicted = cache.evicted - self._evicted.get(kind, 0)
        metrics.state_evictions.labels(kind).inc(evicted)
        self._evicted[kind] = cache.evicted

    def _distinct(self) -> list[KeyedService[Any]]:
        return list({id(service): service for service in self._services.values()}.values())

    async def close(self) -> None:
        """Save the states, so that the next holder need not replay logs."""
        for service in self._distinct():
            await service.close()


async def tidy_all(services: Iterable[KeyedService[Any]]) -> None:
    """Tidy each; where one cannot be, the others are all the same, and then its error is raised."""
    failures: list[Exception] = []
    for service in services:
        try:
            await service.tidy()
        except Exception as failure:  # noqa: BLE001 - whatever it was, the others are tidied
            failures.append(failure)
    if failures:
        raise failures[0]


def bytes_for_each(replica: Replica, services: int) -> int:
    """Say how much memory the states of each service may take, of so many in this replica."""
    return replica.settings.replica_state_bytes // services


def creation(replica: Replica, log_: KeyLog, quota: Counted) -> Creation:
    """Make what says which keys may begin, for a service of a replica."""

    def refused(which: str) -> None:
        replica.metrics.quota_refusals.labels(which).inc()

    replica.storage.decides = True
    return Creation(replica.redis, log_, quota, replica.storage.refusal, refused)


class Repair:
    """Looks once through the states of each service; where Redis is away, as soon as it is back."""

    def __init__(self, services: Iterable[KeyedService[Any]]) -> None:
        self._left = list(services)

    @property
    def done(self) -> bool:
        return not self._left

    async def step(self) -> None:
        """Repair what is left; once nothing is, this does nothing."""
        failures: list[Exception] = []
        for service in tuple(self._left):
            try:
                await service.repair()
            except Exception as failure:  # noqa: BLE001 - whatever it was, the others are repaired
                failures.append(failure)
            else:
                self._left.remove(service)
        if failures:
            raise failures[0]
