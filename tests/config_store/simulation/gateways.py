"""Gateways: the product's rule of the watch and its choice of versions, each with its own clock."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from types import SimpleNamespace
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.errors import (
    ConfigError,
    CorruptVersionError,
    UnknownVersionError,
    UnreadableVersionError,
    WithdrawnVersionError,
)
from config_store.steering.commands import Actor
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.steering.times import SOON_SECONDS
from config_store.steering.watch import held
from config_store.store import Version
from deployments.gateway.steering.choice import Part, SteeredChoice, VersionChoice
from tests.config_store.simulation.invariants import check
from tests.config_store.simulation.processes import LATER
from tests.config_store.simulation.simulated_redis import Connection

# Longer than the product's, so that more is missed.
POLL_SECONDS = 3.0
LEAD_SECONDS = 5.0
# Clocks of machines differ by so much at most, either way.
SKEW_SECONDS = 0.4
# A gateway whose last look is older may not know a step that began.
FRESH_SECONDS = LEAD_SECONDS - SOON_SECONDS - 2 * SKEW_SECONDS
FAMILY = cast("Any", SimpleNamespace(key=None))


class Choice(VersionChoice):
    """The product's, which tells by which state it goes."""

    def __init__(self, wall: Callable[[], float], told: Callable[[SteeringState], None]) -> None:
        super().__init__(lambda: None, wall)
        self._told = told

    def take_over(self, state: SteeringState, active: Version, candidate: Version | None) -> None:
        super().take_over(state, active, candidate)
        self._told(state)


class Gateway:
    """What one process knows, since when, and by which state it goes."""

    def __init__(
        self, name: str, connection: Connection, now: Callable[[], float], skew: float
    ) -> None:
        self.name = name
        self.connection = connection
        self.skew = skew
        self.store = SteeringStore(cast("Redis", connection))
        # Of the read that is on its way: what had happened to the chain by then.
        self.read_epoch = self.read_releases = -1
        # One that is of an earlier release cannot read what a later one wrote.
        self.reads_later = True
        self._now = now
        self.restart()

    def restart(self) -> None:
        """Begin anew, without anything that was known."""
        self.view: SteeringState | None = None
        self.goes_by: SteeringState | None = None
        self.epoch = self._view_epoch = -1
        self.seen_at = float("-inf")
        self.told, self.loading, self.reading, self.ending = True, False, False, False
        self._in_emergency_at = -1  # so many releases there were when it was last seen to be on
        self.choice = Choice(self.wall, self._note)
        self.steered = SteeredChoice(self.choice, self._read)

    def wall(self) -> float:
        return self._now() + self.skew

    @property
    def is_fresh(self) -> bool:
        """Tell whether it knows every step that has begun, and goes by it."""
        young = self._now() - self.seen_at < FRESH_SECONDS
        return young and self.goes_by is not None and self.goes_by == self.view

    def wants(self) -> bool:
        """Tell whether its watch looks now: after a notice, or at its poll."""
        return not self.loading and (self.told or self._now() - self.seen_at >= POLL_SECONDS)

    async def load(self) -> None:
        """Look once, as the watch does."""
        asked_at, self.told, self.loading = self._now(), False, True
        try:
            found = await self.store.read()
        except (RedisConnectionError, ConfigError):
            return
        finally:
            self.loading = False
        after = held(self.view, found)
        self._hold_emergency(after)
        self.seen_at, self._view_epoch = asked_at, self.read_epoch
        if after != self.view:
            self.steered.follow(after)
        if self.goes_by == after:
            self.epoch = self._view_epoch
        self.view = after

    async def read_documents(self) -> None:
        """Read what is not here, as the gateway's loop does."""
        self.reading = True
        self.steered.wake.clear()
        try:
            await self.steered.step()
        except RedisConnectionError:
            return
        finally:
            self.reading = False

    async def end_overdue(self, by: Actor) -> None:
        """Write what time has ended by what is known here, as the gateway's loop does."""
        self.ending = True
        try:
            await self.store.end_overdue(self.view, by, self.wall())
        except (RedisConnectionError, ConfigError):
            return
        finally:
            self.ending = False

    def versions(self, keys: Sequence[str]) -> dict[str, int]:
        """Give the version that answers each key; none before there is one."""
        if self.goes_by is None or (active := self.choice.active()) is None:
            return {}
        parts = [Part(active, list(range(len(keys))))]
        if self.choice.rollout is not None:
            rows = [cast("Any", SimpleNamespace(entity=key)) for key in keys]
            parts = self.choice.split(FAMILY, rows)
        for part in parts:
            version = part.version
            life = self.goes_by.versions[version.number]
            check(version.config_hash == life.content_hash, f"{life.number} has another document")
        return {keys[row]: part.version.number for part in parts for row in part.rows}

    def _note(self, state: SteeringState) -> None:
        self.goes_by, self.epoch = state, self._view_epoch

    def _hold_emergency(self, after: SteeringState) -> None:
        """Hold that none ends here but by an admin's word that came after it was seen."""
        if after.emergency is not None:
            self._in_emergency_at = self.read_releases
        elif self._in_emergency_at >= 0:
            ended = self.read_releases > self._in_emergency_at
            check(ended, f"{self.name} left emergency mode without an admin's word")
            self._in_emergency_at = -1

    async def _read(self, number: int) -> Version:
        """Read a document as `ConfigStore.get` does, as much of it as the simulation has."""
        record = await self.connection.document(number)
        if record is None:
            raise UnknownVersionError(number)
        fields = orjson.loads(record)
        if "document" not in fields:
            raise WithdrawnVersionError(number)
        found = sha256(fields["document"].encode()).hexdigest()
        if found != fields["config_hash"]:
            raise CorruptVersionError(number, fields["config_hash"], found)
        if LATER in fields["document"] and not self.reads_later:
            raise UnreadableVersionError(number, "it is of a later release")
        words = fields["author"], fields["reason"], fields["created"]
        return Version(number, found, *words, document=cast("Any", None))
