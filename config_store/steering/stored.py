"""Reads a state as it is stored: one that steering wrote, or a refusal that says why it is none.

A copy of it lies beside, written by the same script. It is there for when somebody changes or
removes the state, and no process is left that knows it.
"""

from hashlib import sha256
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.errors import ChangedBehindError
from config_store.records import read_record
from config_store.steering.state import SteeringState
from settings.redis_names import redis_name


def refuse_changed(text: bytes | None, digest: str) -> bytes:
    """Give the text back, if it is the one that was written with this digest."""
    if text is None or sha256(text).hexdigest() != digest:
        raise ChangedBehindError("it was changed by something else than steering")
    return text


def parsed(text: bytes) -> SteeringState:
    try:
        return read_record(SteeringState, text)
    except ValidationError as refusal:
        first = refusal.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the state"
        raise ChangedBehindError(
            f"this release cannot read it, {where}: {first['msg']}"
        ) from refusal


class StateCopy:
    """The copy in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.key = redis_name(redis, "config", "steering", "copy")
        self._journal_key = redis_name(redis, "config", "in_force")

    async def read(self) -> SteeringState | None:
        """Give the state as the last change left it; None where the copy cannot be trusted.

        An earlier release writes the state without its copy: the journal tells that it is old.
        """
        try:
            found: Any = await self._redis.hmget(self.key, ["state", "digest"])
            state = parsed(refuse_changed(found[0], (found[1] or b"").decode()))
            latest: Any = await self._redis.zrevrange(self._journal_key, 0, 0)
        except (ChangedBehindError, ResponseError, UnicodeDecodeError):
            return None
        revision = latest[0].partition(b" ")[0] if latest else b"0"
        is_old = revision.isdigit() and int(revision) > state.revision
        return None if is_old else state
