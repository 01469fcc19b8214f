"""Finds what somebody changed in Redis behind steering's back, and puts back what is known."""

from typing import NamedTuple

from redis.asyncio import Redis

from access.keys import Role
from config_store.errors import (
    ChangedBehindError,
    ConfigError,
    LostRaceError,
    LostStateError,
    NotPermittedError,
    RefusedChangeError,
    StrayKeyError,
)
from config_store.steering.changes import event
from config_store.steering.commands import Actor
from config_store.steering.rebuilding import rebuilt
from config_store.steering.state import SteeringState, VersionLife
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore, Version, packed
from config_store.strays import REMEDY, Strays
from observability.timeline.stream import NOTE, stream_keys

STATE = "the steering state"

# A document that is written again, and its event, are one step.
_WRITE = f"""
{NOTE}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
note(KEYS[2], KEYS[3], ARGV[3])
"""


class Finding(NamedTuple):
    """One thing that no command of this platform wrote."""

    subject: str  # such as `version 3`
    what: str
    remedy: str


class Repair:
    """Looks now and then, so that it knows what could be trusted last."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._configs = ConfigStore(redis)
        self._steering = SteeringStore(redis)
        self._write = redis.register_script(_WRITE)
        self._copy = StateCopy(redis)
        self._strays = Strays(redis)
        self._known: SteeringState | None = None
        # Those that serve or may be rolled back to, each as it was when its hash was right.
        self._trusted: dict[int, Version] = {}

    async def findings(self) -> list[Finding]:
        """Look at the state, what lies beside it, and each version that serves or may again."""
        beside = await self._strays.beside_the_state()
        strays = [Finding(each.key, str(each), REMEDY) for each in beside]
        return [*strays, *await self._findings()]

    async def _findings(self) -> list[Finding]:
        try:
            state = self._known = await self._steering.read()
        except ChangedBehindError as changed:
            remedy = "`ballast config repair` writes what is known again."
            if self._known is None and await self._copy.read() is None:
                remedy = str(LostStateError("It is lost."))
            return [Finding(STATE, str(changed), remedy)]
        needed = _needed(state)
        found = [await self._look_at(state.versions[number]) for number in needed]
        self._trusted = {n: each for n, each in self._trusted.items() if n in needed}
        return [each for each in found if each is not None]

    async def revive(self, by: Actor, now: float) -> bool:
        """Write a spoilt state again from its copy, where this process never knew it.

        After a restart of all processes nobody knows it. Who does know it leaves that to people.
        """
        if self._known is not None:
            return False
        try:
            await self._steering.read()
        except ChangedBehindError as changed:
            if (copied := await self._copy.read()) is None:
                return False
            try:
                await self._steering.restore(copied, f"from its copy: {changed}", by, now)
            except (RefusedChangeError, LostRaceError):  # another process was quicker
                return False
            except StrayKeyError:  # in the place of what lies beside it: that is left to people
                return False
            self._known = copied
            return True
        return False

    async def put_back(self, by: Actor, now: float, *, rebuild: bool = False) -> list[str]:
        """Write again what is known and Redis has no longer as it was, and remove what is stray.

        Whoever watches is told to look again, so that stragglers load what is active. A state that
        nobody knows is made anew of what lies beside it, where that is asked for.
        """
        dropped = await self._strays.drop(by, now)
        spoilt = ""
        try:
            known = await self._steering.read()
        except ChangedBehindError as changed:
            spoilt = "a repair"
            latest = await self._latest()
            if latest is None and rebuild:
                latest = await self._rebuilt(by)
                spoilt = "a repair, by the documents and the journal"
            if latest is None:
                raise LostStateError(str(changed)) from changed
            known = latest
        self._known = known
        # The documents first: no state makes a version active whose document is not there.
        done = [_named(each) for each in await self._put_back_documents(known, by, now)]
        if spoilt:
            await self._steering.restore(known, spoilt, by, now)
            done.insert(0, STATE)
        elif self._steering.journal_key in {each.key for each in dropped}:
            await self._steering.begin_journal(known, by)
        await self._redis.publish(self._configs.channel, "repaired")
        return [*(f"{each.key}, removed" for each in dropped), *done]

    async def _latest(self) -> SteeringState | None:
        """Give what is known here or in the copy, whichever is of the later revision."""
        found = [each for each in (self._known, await self._copy.read()) if each is not None]
        return max(found, key=lambda each: each.revision, default=None)

    async def _rebuilt(self, by: Actor) -> SteeringState:
        if not by.role.includes(Role.ADMIN):
            raise NotPermittedError("rebuild", Role.ADMIN, by.role)
        return await rebuilt(self._redis)

    async def _put_back_documents(self, state: SteeringState, by: Actor, now: float) -> list[int]:
        done = []
        for each in self._trusted.values():
            life = state.versions.get(each.number)
            # A Redis that lost its last second may have given the number to another document.
            if life is None or life.content_hash != each.config_hash:
                continue
            if await self._put_back(each, life, by, now):
                done.append(each.number)
        return done

    async def _look_at(self, life: VersionLife) -> Finding | None:
        try:
            found = await self._configs.get(life.number)
        except ConfigError as error:
            return Finding(_named(life.number), str(error), self._remedy(life.number))
        if found.config_hash == life.content_hash:
            self._trusted[life.number] = found
            return None
        return Finding(
            _named(life.number),
            f"Version {life.number} was drafted with hash {life.content_hash[:12]}, and the "
            f"document that is stored has hash {found.config_hash[:12]}.",
            self._remedy(life.number),
        )

    def _remedy(self, number: int) -> str:
        if number in self._trusted:
            return "`ballast config repair` writes it again."
        return f"This gateway never saw it as it was: draft what version {number} said anew."

    async def _put_back(self, version: Version, life: VersionLife, by: Actor, now: float) -> bool:
        if version.document.config_hash != version.config_hash:
            return False  # an earlier release wrote it, in words that this one writes otherwise
        try:
            if (await self._configs.get(version.number)).config_hash == version.config_hash:
                return False
        except ConfigError:
            pass
        said = version.author, version.reason, version.created
        record = packed(version.document, *said, life.co_authors)
        noted = event("config_repaired", now, by, version=version.number)
        args: list[str | bytes] = [str(version.number), record, noted.to_json()]
        await self._write(keys=[self._configs.versions_key, *stream_keys(self._redis)], args=args)
        return True


def _named(number: int) -> str:
    return f"version {number}"


def _needed(state: SteeringState) -> list[int]:
    numbers = {state.active, *state.warm}
    if state.rollout is not None:
        numbers.add(state.rollout.candidate)
    return sorted(numbers & state.versions.keys())
