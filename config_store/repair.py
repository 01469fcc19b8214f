"""Finds what somebody changed in Redis behind steering's back, and puts back what is known."""

from typing import NamedTuple

from redis.asyncio import Redis

from config_store.errors import ChangedBehindError, ConfigError, NoActiveVersionError
from config_store.steering.commands import Actor
from config_store.steering.state import SteeringState, VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore, Version, packed


class Finding(NamedTuple):
    """One thing that no command of this platform wrote."""

    what: str
    remedy: str


class Repair:
    """Looks now and then, so that it knows what could be trusted last."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._known: SteeringState | None = None
        # Those that serve or may be rolled back to, each as it was when its hash was right.
        self._trusted: dict[int, Version] = {}

    async def findings(self) -> list[Finding]:
        """Look at the state, and at every version that serves or can be rolled back to."""
        try:
            state = self._known = await self._steering.read()
        except ChangedBehindError as changed:
            return [Finding(str(changed), "`ballast config repair` writes what is known again.")]
        needed = _needed(state)
        found = [await self._look_at(state.versions[number]) for number in needed]
        self._trusted = {n: each for n, each in self._trusted.items() if n in needed}
        return [each for each in found if each is not None]

    async def put_back(self, by: Actor, now: float) -> list[str]:
        """Write again what this process knows and Redis has no longer as it was.

        Whoever watches is told to look again, so that stragglers load what is active.
        """
        spoilt = None
        try:
            self._known = await self._steering.read()
        except ChangedBehindError as changed:
            spoilt = changed
        if (known := self._known) is None:
            raise spoilt or NoActiveVersionError
        # The documents first: no state makes a version active whose document is not there.
        done = [f"version {each}" for each in await self._put_back_documents(known)]
        if spoilt is not None:
            await self._steering.restore(known, "a repair", by, now)
            done.insert(0, "the steering state")
        await self._redis.publish(self._configs.channel, "repaired")
        return done

    async def _put_back_documents(self, state: SteeringState) -> list[int]:
        done = []
        for each in self._trusted.values():
            life = state.versions.get(each.number)
            # A Redis that lost its last second may have given the number to another document.
            is_known = life is not None and life.content_hash == each.config_hash
            if is_known and await self._put_back(each):
                done.append(each.number)
        return done

    async def _look_at(self, life: VersionLife) -> Finding | None:
        try:
            found = await self._configs.get(life.number)
        except ConfigError as error:
            return Finding(str(error), self._remedy(life.number))
        if found.config_hash == life.content_hash:
            self._trusted[life.number] = found
            return None
        return Finding(
            f"Version {life.number} was drafted with hash {life.content_hash[:12]}, and the "
            f"document that is stored has hash {found.config_hash[:12]}.",
            self._remedy(life.number),
        )

    def _remedy(self, number: int) -> str:
        if number in self._trusted:
            return "`ballast config repair` writes it again."
        return f"This gateway never saw it as it was: draft what version {number} said anew."

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
