"""The steering state in Redis: read, changed by commands, and never by two at once."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from access.keys import Role
from config_store.document import ConfigDocument
from config_store.errors import (
    ChangedBehindError,
    LostRaceError,
    NoActiveVersionError,
    NotPermittedError,
    RefusedChangeError,
)
from config_store.steering.adoption import adopt, found_state, life_of_older
from config_store.steering.changes import Changed, event
from config_store.steering.commands import (
    Abort,
    Actor,
    Advance,
    Command,
    Deploy,
    Draft,
    EmergencyOff,
    EmergencyOn,
    Expire,
    RemoveOverride,
    RollBack,
)
from config_store.steering.headers import header_of_line, header_of_record
from config_store.steering.in_force import InForce
from config_store.steering.scripts import CHANGE, READ
from config_store.steering.state import SteeringState, VersionLife
from config_store.steering.transitions import apply
from config_store.store import ConfigStore, packed
from observability.timeline.stream import stream_keys
from settings.redis_names import redis_name

# Each lost race is somebody else's change that was made: so many in a row is a caller gone wild.
TRIES = 50
# Of an older installation, which had no steering.
MOST_FOUND = 200
# A time from far ahead would hold every later change to it.
MOST_AHEAD_SECONDS = 300.0
# Their time is never earlier than Redis's clock at the read, and a write that does not come soon
# after its read is made anew: a lead counts from the write, and what seems to be earlier ends no
# emergency that a gateway knows and Redis forgot.
LEADING = (Deploy, Advance, EmergencyOff)
SOON_SECONDS = 1.0
LATEST = 1e12  # any time will do
URGENT = (EmergencyOn, RollBack, Abort)
# They end something, and are carried out in a Redis that is full too; each takes a few bytes.
DESPITE_FULL = (*URGENT, EmergencyOff, Expire, RemoveOverride)


class _Seen(NamedTuple):
    """What one read found; a write goes through only where all three are still there.

    The digest, not the revision: a Redis that lost its last second gives a revision out again.
    """

    digest: str
    pointer: str
    published: int  # the highest number that was given out
    clock: float
    state: SteeringState | None
    stored: SteeringState | None


class SteeringStore:
    """A Redis that is away shows as redis.exceptions.RedisError: the change may have been made."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        configs = ConfigStore(redis)
        self.channel = configs.channel
        self.key = redis_name(redis, "config", "steering")
        self.filed_key = redis_name(redis, "config", "filed")
        self.in_force_key = redis_name(redis, "config", "in_force")
        self._read_keys = [self.key, configs.active_key, configs.versions_key]
        self._keys = [*self._read_keys, self.filed_key, self.in_force_key, *stream_keys(redis)]
        self._last: tuple[str, SteeringState] | None = None
        self._read = redis.register_script(READ)
        self._change = redis.register_script(CHANGE)

    async def read(self) -> SteeringState:
        """Give the state, made of the active version where an older release left none."""
        seen = await self._look()
        if seen.state is None:
            raise NoActiveVersionError
        return seen.state

    async def change(self, commands: Command | Sequence[Command], by: Actor, now: float) -> Changed:
        """Carry out a command, or several in one step; RefusedChangeError says why not."""
        several = tuple(commands) if isinstance(commands, Sequence) else (commands,)
        for _ in range(TRIES):
            seen = await self._look()
            changed = _applied(seen, several, by, _time(seen, several, now))
            if _is_stored(seen, changed) or await self._write(seen, changed, by, several):
                return changed
        raise LostRaceError(TRIES)

    async def draft(
        self,
        document: ConfigDocument,
        message: str,
        by: Actor,
        now: float,
        parent: int | None = None,
    ) -> VersionLife:
        """Store a document as a new version, written on top of its parent: the active one."""
        record = packed(document, by.name, message, datetime.fromtimestamp(now, UTC))
        for _ in range(TRIES):
            seen = await self._look()
            number = seen.published + 1
            command = Draft(number, document.config_hash, message, parent or _active(seen))
            changed = _applied(seen, (command,), by, _time(seen, (command,), now))
            if await self._write(seen, changed, by, (command,), record):
                return changed.state.versions[number]
        raise LostRaceError(TRIES)

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
            return VersionLife.model_validate_json(filed)
        record: Any = await self._redis.hget(self._read_keys[2], str(number))
        if record is None:
            raise RefusedChangeError(
                f"Steering knows no version {number}: list the versions to see which there are."
            )
        # So old that steering was not there yet, and took over none of its time.
        return life_of_older(header_of_record(number, record))

    async def in_force(self, at: float) -> InForce | None:
        """Tell what was in force at a time; None before the first entry that is kept."""
        found: Any = await self._redis.zrevrangebyscore(self.in_force_key, at, "-inf", 0, 1)
        try:
            return InForce.read(found[0]) if found else None
        except ValidationError:  # another release wrote it: the timeline tells what it can
            return None

    async def restore(
        self, state: SteeringState, reason: str, by: Actor, now: float
    ) -> SteeringState:
        """Write the state that a process knew last where the stored one is lost or spoilt.

        Its documents must be there.
        """
        if not by.role.includes(Role.OPERATOR):
            raise NotPermittedError("restore", Role.OPERATOR, by.role)
        await self._refuse_trusted()
        await self._drop_of_other_types()
        found: Any = await self._read(keys=self._read_keys, args=[0])
        revision, _, digest, pointer, published, *_ = found
        stored = _text(revision)
        number = max(state.revision, int(stored) if stored.isdigit() else 0) + 1
        following = state.model_copy(
            update={"revision": number, "changed": max(now, state.changed)}
        )
        noted = event("steering_restored", now, by, revision=number, reason=reason)
        seen = _Seen(_text(digest), _text(pointer), int(published), now, following, None)
        if not await self._write(seen, Changed(following, (noted,)), by):
            raise LostRaceError(1)
        return following

    async def _refuse_trusted(self) -> None:
        with suppress(ChangedBehindError):
            if (await self._look()).stored is not None:
                raise RefusedChangeError(
                    "The steering state in Redis is one of steering's own: there is nothing to "
                    "restore."
                )

    async def _drop_of_other_types(self) -> None:
        """Drop what no state can be read from or written to: somebody put it there."""
        for key, kind in ((self.key, b"hash"), (self._read_keys[1], b"string")):
            if await self._redis.type(key) not in {kind, b"none"}:
                await self._redis.delete(key)

    async def _look(self) -> _Seen:
        try:
            found: Any = await self._read(keys=self._read_keys, args=[MOST_FOUND])
        except ResponseError as error:
            if "WRONGTYPE" in str(error):
                raise ChangedBehindError("something of another type was put in its place") from None
            raise
        revision, text, digest, pointer, published, lines, clock = found
        headers = tuple(header_of_line(line) for line in lines)
        active = int(pointer) if pointer and pointer.isdigit() else None
        if text is None and revision is None:
            stored, state = None, found_state(headers, active) if active else None
        else:
            stored = self._stored(text, _text(digest))
            state = adopt(stored, headers, stored.active if active is None else active)
        return _Seen(_text(digest), _text(pointer), int(published), float(clock), state, stored)

    def _stored(self, text: bytes | None, digest: str) -> SteeringState:
        """Read the state, which mostly is the one that was read before."""
        if text is None or sha256(text).hexdigest() != digest:
            raise ChangedBehindError("it was changed by something else than steering")
        if self._last is None or self._last[0] != digest:
            self._last = digest, _parsed(text)
        return self._last[1]

    async def _write(
        self,
        seen: _Seen,
        changed: Changed,
        by: Actor,
        commands: tuple[Command, ...] = (),
        record: bytes = b"",
    ) -> bool:
        state, before = changed.state, seen.stored
        text = state.model_dump_json().encode()
        filed = _filed(seen.state, state)
        entry = _entry(before, state, by)
        given = {
            "seen_digest": seen.digest,
            "seen_pointer": seen.pointer,
            "seen_published": seen.published,
            "latest": seen.clock + SOON_SECONDS if _leads(commands) else LATEST,
            "despite_full": bool(commands)
            and all(isinstance(each, DESPITE_FULL) for each in commands),
            "revision": str(state.revision),
            "digest": sha256(text).hexdigest(),
            "newest": str(max(state.versions)),
            "active": str(state.active),
            "changed": repr(state.changed),
            "channel": self.channel,
            "draft": str(max(state.versions)),
            "filed": len(filed) // 2,
            "events": len(changed.events),
        }
        events = [each.to_json() for each in changed.events]
        written = await self._change(
            keys=self._keys, args=[orjson.dumps(given), text, record, entry, *filed, *events]
        )
        if written < 0:
            raise RefusedChangeError(
                f"The document of version {state.active} is not in Redis any more: choose another "
                "version, and find out who removed it."
            )
        return bool(written)


def _is_stored(seen: _Seen, changed: Changed) -> bool:
    return changed.state is seen.stored and seen.pointer == str(changed.state.active)


def _leads(commands: tuple[Command, ...]) -> bool:
    return any(isinstance(each, LEADING) for each in commands)


def _time(seen: _Seen, commands: tuple[Command, ...], now: float) -> float:
    """Refuse a time from far ahead, but never what cannot wait for a clock to be set."""
    if now > seen.clock + MOST_AHEAD_SECONDS:
        if all(isinstance(each, URGENT) for each in commands):
            return seen.clock
        raise RefusedChangeError(
            f"This clock is {now - seen.clock:.0f} s ahead of the clock of Redis: set it, and try "
            "again."
        )
    return max(now, seen.clock) if _leads(commands) else now


def _applied(seen: _Seen, commands: tuple[Command, ...], by: Actor, now: float) -> Changed:
    if seen.state is None:
        raise NoActiveVersionError
    found = Changed(seen.state, _adopted(seen, by, now))
    for command in commands:
        after = apply(found.state, command, by, now)
        found = Changed(after.state, found.events + after.events)
    return found


def _adopted(seen: _Seen, by: Actor, now: float) -> tuple[Any, ...]:
    if seen.stored is None or seen.state is None or seen.stored.active == seen.state.active:
        return ()
    active = seen.state.active
    return (event("config_adopted", now, by, version=active, before=seen.stored.active),)


def _active(seen: _Seen) -> int:
    if seen.state is None:
        raise NoActiveVersionError
    return seen.state.active


def _filed(before: SteeringState | None, after: SteeringState) -> list[bytes | str]:
    """Give the lives that the state lets go, as number and text in turn."""
    lives = before.versions if before is not None else {}
    gone = [life for number, life in lives.items() if number not in after.versions]
    return [part for life in gone for part in (str(life.number), life.model_dump_json())]


def _entry(before: SteeringState | None, after: SteeringState, by: Actor) -> str:
    entry = InForce.of(after, by)
    if before is not None and entry.same_as(InForce.of(before, by)):
        return ""
    return entry.member()


def _parsed(text: bytes) -> SteeringState:
    try:
        return SteeringState.model_validate_json(text)
    except ValidationError as refusal:
        first = refusal.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the state"
        raise ChangedBehindError(
            f"this release cannot read it, {where}: {first['msg']}"
        ) from refusal


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
