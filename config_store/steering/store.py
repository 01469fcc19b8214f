"""The steering state in Redis: read, changed by commands, and never by two at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from access.keys import Role
from config_store.document import ConfigDocument
from config_store.errors import (
    LostRaceError,
    NoActiveVersionError,
    NotPermittedError,
    RefusedChangeError,
)
from config_store.records import read_record
from config_store.steering import drafts
from config_store.steering.adoption import life_of_older
from config_store.steering.carried_out import CarriedOut
from config_store.steering.changes import Changed, event
from config_store.steering.commands import Actor, Command, Draft, Expire
from config_store.steering.headers import header_of_record
from config_store.steering.journal import JournalEntry
from config_store.steering.scripts import CHANGE
from config_store.steering.seen import Seen, StateReader
from config_store.steering.state import Stage, SteeringState, VersionLife
from config_store.steering.stored import StateCopy
from config_store.steering.times import time_of
from config_store.steering.transitions import apply
from config_store.steering.writing import arguments
from config_store.store import ConfigStore, packed
from config_store.strays import Strays, stray_key_error
from observability.timeline.stream import stream_keys
from settings.redis_names import redis_name

# Each lost race is somebody else's change that was made: so many in a row is a caller gone wild.
TRIES = 50
# Why the script that changes the state has written nothing.
HAS_NO_DOCUMENT, HAS_NO_PLACE = -1, -2


class SteeringStore:
    """A Redis that is away shows as redis.exceptions.RedisError: the change may have been made."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        configs = ConfigStore(redis)
        self.channel = configs.channel
        self.key = redis_name(redis, "config", "steering")
        self.filed_key = redis_name(redis, "config", "filed")
        self.journal_key = redis_name(redis, "config", "in_force")
        written = [self.key, configs.active_key, configs.versions_key]
        copy_key = StateCopy(redis).key
        self._active_key, self._versions_key = configs.active_key, configs.versions_key
        self._strays = Strays(redis)
        self._reader = StateReader(redis, [*written, copy_key], self._strays)
        self._keys = [*written, self.filed_key, self.journal_key, *stream_keys(redis), copy_key]
        self._change = redis.register_script(CHANGE)
        self._carried_out = CarriedOut(redis)

    async def read(self) -> SteeringState:
        """Give the state, made of the active version where an older release left none."""
        seen = await self._reader.look()
        if seen.state is None:
            raise NoActiveVersionError
        return seen.state

    async def change(self, commands: Command | Sequence[Command], by: Actor, now: float) -> Changed:
        """Carry out a command, or several in one step; RefusedChangeError says why not."""
        several = tuple(commands) if isinstance(commands, Sequence) else (commands,)
        for _ in range(TRIES):
            seen = await self._reader.look()
            if await self.has_carried_out(several, by):
                return Changed(await self.read())
            changed = _applied(seen, several, by, time_of(several, seen.clock, now))
            if _is_stored(seen, changed) or await self._write(seen, changed, by, several):
                return changed
        raise LostRaceError(TRIES)

    async def has_carried_out(self, commands: Sequence[Command], by: Actor) -> bool:
        """Tell whether these were carried out for this very request, which was sent again."""
        return await self._carried_out.newest(self._carried_out.keys(by, commands)) is not None

    async def end_overdue(self, known: SteeringState | None, by: Actor, now: float) -> None:
        """Write what time has ended or put off; where what is known has no such, ask nothing."""
        if known is not None and known.is_overdue(now):
            await self.change(Expire(), by, now)

    async def draft(
        self,
        document: ConfigDocument,
        message: str,
        by: Actor,
        now: float,
        parent: int | None = None,
        made_from: int | None = None,
    ) -> VersionLife:
        """Store a document as a new version, written on top of its parent: the active one.

        `made_from` is the version whose changes it drafts anew.
        """
        for _ in range(TRIES):
            seen = await self._reader.look()
            number, on_top_of = seen.published + 1, parent or _active(seen)
            command = Draft(number, document.config_hash, message, on_top_of, made_from)
            if (known := await self._drafted(command, by)) is not None:
                return known
            changed = _applied(seen, (command,), by, time_of((command,), seen.clock, now))
            life = changed.state.versions[number]
            created = datetime.fromtimestamp(life.created, UTC)
            record = packed(document, by.name, message, created, life.co_authors)
            if await self._write(seen, changed, by, (command,), record):
                return life
        raise LostRaceError(TRIES)

    async def _drafted(self, command: Draft, by: Actor) -> VersionLife | None:
        """Give what this very request drafted already, unless that was withdrawn."""
        number = await self._carried_out.newest(self._carried_out.keys(by, (command,)))
        life = None if number is None else await self.life(number)
        return None if life is None or life.stage is Stage.WITHDRAWN else life

    async def found(self, by: Actor, now: float) -> SteeringState:
        """Store the state that `read` makes of an older installation; for every start."""
        return (await self.change((), by, now)).state

    async def life(self, number: int) -> VersionLife:
        """Give the life of a version, however old."""
        state = await self.read()
        if (life := state.versions.get(number)) is not None:
            return life
        filed = await self._redis.hget(self.filed_key, str(number))
        if filed is not None:
            return read_record(VersionLife, filed)
        record: Any = await self._redis.hget(self._versions_key, str(number))
        if record is None:
            raise RefusedChangeError(
                f"Steering knows no version {number}: list the versions to see which there are."
            )
        # So old that steering was not there yet, and took over none of its time.
        return life_of_older(header_of_record(number, record))

    async def journal_entry(self, at: float) -> JournalEntry | None:
        """Tell what was in force at a time; None before the first entry that is kept."""
        found: Any = await self._redis.zrevrangebyscore(self.journal_key, at, "-inf", 0, 1)
        try:
            return JournalEntry.read(found[0]) if found else None
        except ValidationError:  # another release wrote it: the timeline tells what it can
            return None

    async def begin_journal(self, state: SteeringState, by: Actor) -> None:
        """Note what is in force by a state where the journal was lost."""
        member = JournalEntry.of(state, by).member()
        await self._redis.zadd(self.journal_key, {member: state.changed})

    async def restore(
        self, state: SteeringState, reason: str, by: Actor, now: float
    ) -> SteeringState:
        """Write the state that a process knew last where the stored one is lost or spoilt.

        Its documents must be there.
        """
        if not by.role.includes(Role.OPERATOR):
            raise NotPermittedError("restore", Role.OPERATOR, by.role)
        revision, seen = await self._reader.look_at_lost()
        now = time_of((), seen.clock, now)
        number = max(state.revision, revision) + 1
        following = state.model_copy(
            update={
                "revision": number,
                "changed": max(now, state.changed),
                "versions": drafts.of_unknown_past(state),
            }
        )
        noted = event("steering_restored", now, by, revision=number, reason=reason)
        seen = seen._replace(state=following)
        if not await self._write(seen, Changed(following, (noted,)), by):
            raise LostRaceError(1)
        return following

    async def _write(
        self,
        seen: Seen,
        changed: Changed,
        by: Actor,
        commands: tuple[Command, ...] = (),
        record: bytes = b"",
    ) -> bool:
        written = await self._change(
            keys=[*self._keys, *self._carried_out.keys(by, commands)],
            args=arguments(seen, changed, by, commands, record, self.channel),
        )
        if written == HAS_NO_PLACE:
            if found := await self._strays.find():
                raise stray_key_error(found)
            return False  # somebody has removed it since
        if written == HAS_NO_DOCUMENT:
            raise RefusedChangeError(
                f"The document of version {changed.state.active} is not in Redis any more: choose "
                "another version, and find out who removed it."
            )
        return bool(written)


def _is_stored(seen: Seen, changed: Changed) -> bool:
    return changed.state is seen.stored and seen.pointer == str(changed.state.active)


def _applied(seen: Seen, commands: tuple[Command, ...], by: Actor, now: float) -> Changed:
    if seen.state is None:
        raise NoActiveVersionError
    found = Changed(seen.state, _adopted(seen, by, now))
    for command in commands:
        after = apply(found.state, command, by, now)
        found = Changed(after.state, found.events + after.events)
    return found


def _adopted(seen: Seen, by: Actor, now: float) -> tuple[Any, ...]:
    if seen.stored is None or seen.state is None or seen.stored.active == seen.state.active:
        return ()
    active = seen.state.active
    return (event("config_adopted", now, by, version=active, before=seen.stored.active),)


def _active(seen: Seen) -> int:
    if seen.state is None:
        raise NoActiveVersionError
    return seen.state.active
