"""A stage whose replicas hold state by key: its families' services, kept tidy."""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from redis.exceptions import RedisError

from config_store.quotas import Counted
from deployments.batch import Batch
from deployments.keyed.creation import Creation
from deployments.keyed.log import KeyLog
from deployments.keyed.service import KeyedService
from deployments.stage import Stage
from deployments.wire.frame import Frame
from observability.background import end

TIDY_SECONDS = 1.0
REPAIR_AGAIN_SECONDS = 10.0

log = logging.getLogger(__name__)


class KeyedStage(Stage):
    """A subclass makes the services, each for one kind of key, and says which answers a family."""

    @abstractmethod
    def services(self) -> dict[str, KeyedService[Any]]:
        """Give the service of each family; families may share one."""

    @abstractmethod
    def model_of(self, family: str) -> tuple[str, str]:
        """Name the model that answers a family, and its version."""

    async def open(self) -> None:
        self._services = self.services()
        self._evicted: dict[str, int] = {}
        await super().open()
        self._tidying = self.replica.loops.start("tidy states", self._tidy, lambda: TIDY_SECONDS)
        self._repairing = asyncio.create_task(repair_each(self._distinct()))

    def bytes_for_each(self, services: int) -> int:
        """Say how much memory the states of each service may take, of so many in this replica."""
        return self.replica.settings.replica_state_bytes // services

    def creation(self, log_: KeyLog, quota: Counted) -> Creation:
        """Make what says which keys may begin, for a service of this stage."""
        replica = self.replica

        def refused(which: str) -> None:
            replica.metrics.quota_refusals.labels(which).inc()

        return Creation(replica.redis, log_, quota, replica.storage.refusal, refused)

    async def answer(self, frame: Frame) -> Frame:
        batch = Batch.from_frame(frame)
        prediction = await self._services[batch.family].answer(batch, *self.model_of(batch.family))
        return prediction.to_frame()

    async def tidy(self) -> None:
        """Do what else is to be done every second; a subclass may have such."""

    async def _tidy(self) -> None:
        await self.tidy()
        for service in self._distinct():
            await service.tidy()
            self._note_states(service)

    def _note_states(self, service: KeyedService[Any]) -> None:
        kind, shelf, metrics = service.keeper.kind, service.shelf, self.replica.metrics
        metrics.state_resident_bytes.labels(kind).set(shelf.bytes)
        evicted = shelf.evicted - self._evicted.get(kind, 0)
        metrics.state_evictions.labels(kind).inc(evicted)
        self._evicted[kind] = shelf.evicted

    def _distinct(self) -> list[KeyedService[Any]]:
        return list({id(service): service for service in self._services.values()}.values())

    async def close(self) -> None:
        await self.replica.loops.stop(self._tidying)
        await end(self._repairing)
        # What comes in is answered first; then states are saved, so that the next holder need not
        # replay logs.
        await self._wire.close()
        for service in self._distinct():
            await service.close()
        await self.replica.close()


async def repair_each(
    services: Iterable[KeyedService[Any]], again_seconds: float = REPAIR_AGAIN_SECONDS
) -> None:
    """Look once through the states of each; where Redis is away, as soon as it is back."""
    for service in services:
        tries = 0
        while not await _repaired(service, first=not tries):
            tries += 1
            await asyncio.sleep(again_seconds)


async def _repaired(service: KeyedService[Any], *, first: bool) -> bool:
    try:
        await service.repair()
    except (RedisError, OSError) as away:  # meanwhile a key that is asked for is repaired then
        if first:
            kind, why = service.keeper.kind, type(away).__name__
            log.warning("States of kind %r cannot be looked through yet: %s", kind, why)
        return False
    return True
