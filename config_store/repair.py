"""Finds what somebody changed in Redis behind steering's back, and puts back what is known."""

from collections.abc import Iterable
from typing import NamedTuple

from redis.asyncio import Redis

from config_store.errors import ChangedBehindError, ConfigError
from config_store.steering.commands import Actor
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version, packed


class Finding(NamedTuple):
    """One thing that no command of this platform wrote."""

    what: str
    remedy: str


class Repair:
    """Looks now and then, so that it knows the last state that could be trusted."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._known: SteeringState | None = None

    async def findings(self) -> list[Finding]:
        """Look at the state, and at every version that serves or can be rolled back to."""
        try:
            state = self._known = await self._steering.read()
        except ChangedBehindError as changed:
            return [Finding(str(changed), "`ballast config repair` writes what is known again.")]
        found = [await self._version(number, state) for number in _needed(state)]
        return [each for each in found if each is not None]

    async def put_back(self, known: Iterable[Version], by: Actor, now: float) -> list[str]:
        """Write again what this process knows and Redis has no longer as it was.

        Whoever watches is told to look again, so that stragglers load what is active.
        """
        done = [f"version {each.number}" for each in known if await self._put_back(each)]
        if await self._restore(by, now):
            done.append("the steering state")
        await self._redis.publish(self._configs.channel, "repaired")
        return done

    async def _restore(self, by: Actor, now: float) -> bool:
        """Write the last trusted state again, where the one in Redis cannot be trusted."""
        try:
            self._known = await self._steering.read()
        except ChangedBehindError:
            if self._known is None:
                raise
            await self._steering.restore(self._known, "a repair", by, now)
            return True
        return False

    async def _version(self, number: int, state: SteeringState) -> Finding | None:
        life = state.versions[number]
        try:
            found = await self._configs.get(number)
        except ConfigError as error:
            return Finding(str(error), _remedy(number, state))
        if found.config_hash == life.content_hash:
            return None
        return Finding(
            f"Version {number} was drafted with hash {life.content_hash[:12]}, and the document "
            f"that is stored has hash {found.config_hash[:12]}.",
            _remedy(number, state),
        )

    async def _put_back(self, version: Version) -> bool:
        if version.document.config_hash != version.config_hash:
            return False  # an earlier release wrote it, in words that this one writes otherwise
        try:
            if (await self._configs.get(version.number)).config_hash == version.config_hash:
                return False
        except ConfigError:
            pass
        record = packed(version.document, version.author, version.reason, version.created)
        await self._redis.hset(self._configs.versions_key, str(version.number), record)
        return True


def _needed(state: SteeringState) -> list[int]:
    numbers = {state.active, *state.warm}
    if state.rollout is not None:
        numbers.add(state.rollout.candidate)
    return sorted(numbers & state.versions.keys())


def _remedy(number: int, state: SteeringState) -> str:
    if number == state.active:
        return "Every replica that has it goes on with it: `ballast config repair` writes it again."
    return f"Do not go back to version {number}; draft what it said anew."
