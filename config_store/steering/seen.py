"""Reads what a change is made of: the state, what is active, and which numbers are given out."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.errors import ChangedBehindError, RefusedChangeError
from config_store.steering.adoption import adopt, found_state
from config_store.steering.headers import header_of_line
from config_store.steering.scripts import DROP_OTHER_TYPES, READ
from config_store.steering.state import SteeringState
from config_store.steering.stored import parsed, refuse_changed
from config_store.strays import Strays

# Of an older installation, which had no steering.
MOST_FOUND = 200


class Seen(NamedTuple):
    """What one read found; a write goes through only where all three are still there.

    The digest, not the revision: a Redis that lost its last second gives a revision out again.
    """

    digest: str
    pointer: str
    published: int  # the highest number that was given out
    clock: float
    state: SteeringState | None
    stored: SteeringState | None


class StateReader:
    """Reads by one script, at one moment."""

    def __init__(self, redis: Redis, keys: Sequence[str], strays: Strays) -> None:
        self._strays = strays
        self._keys = list(keys)
        self._read = redis.register_script(READ)
        self._drop = redis.register_script(DROP_OTHER_TYPES)
        self._last: tuple[str, SteeringState] | None = None

    async def look(self) -> Seen:
        """Read the state, and take in what was activated past steering."""
        found = await self._run(MOST_FOUND)
        revision, text, digest, pointer, published, lines, clock, copied = found
        headers = tuple(header_of_line(line) for line in lines)
        active = int(pointer) if pointer and pointer.isdigit() else None
        if text is None and revision is None:
            if copied is not None:
                raise ChangedBehindError("it was removed by something else than steering")
            stored, state = None, found_state(headers, active) if active else None
        else:
            stored = self._stored(text, _text(digest))
            state = adopt(stored, headers, stored.active if active is None else active)
        return Seen(_text(digest), _text(pointer), int(published), float(clock), state, stored)

    async def look_at_lost(self) -> tuple[int, Seen]:
        """Read what lies in the place of a state that cannot be trusted, and its revision.

        RefusedChangeError says that it can be: by what is written over, and by no look before it.
        """
        await self._drop(keys=self._keys[:2], args=["hash", "string"])
        found = await self._run(0)
        revision, text, digest, pointer, published, _, clock, _ = found
        stored = _text(revision)
        with suppress(ChangedBehindError):
            there = text is not None or revision is not None
            # One without its pointer may be written over: another process wrote none of the two.
            if there and _text(pointer) == str(self._stored(text, _text(digest)).active):
                raise RefusedChangeError(
                    "The steering state in Redis is one of steering's own: there is nothing to "
                    "restore."
                )
        seen = Seen(_text(digest), _text(pointer), int(published), float(clock), None, None)
        return int(stored) if stored.isdigit() else 0, seen

    async def _run(self, most_found: int) -> Any:
        try:
            return await self._read(keys=self._keys, args=[most_found])
        except ResponseError as refusal:
            await self._strays.name(refusal)
            raise

    def _stored(self, text: bytes | None, digest: str) -> SteeringState:
        """Read the state, which mostly is the one that was read before."""
        trusted = refuse_changed(text, digest)
        if self._last is None or self._last[0] != digest:
            self._last = digest, parsed(trusted)
        return self._last[1]


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
