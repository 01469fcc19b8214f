"""Finds keys of steering in whose place something of another type stands, and removes them.

Every command that reads or writes there is refused by Redis, and would be for ever. Redis says only
that the type is wrong, and not of which key.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.errors import StrayKeyError
from config_store.steering.changes import event
from config_store.steering.commands import Actor
from observability.timeline.stream import NOTE, stream_keys
from settings.redis_names import redis_name

# Of the state itself: who restores it writes it over whatever is there.
STATE: Final = {("config", "steering"): "hash", ("config", "active"): "string"}
# By the parts of their names. A copy of the state that is another thing goes with the next change.
BESIDE: Final = {
    ("config", "versions"): "hash",
    ("config", "filed"): "hash",
    ("config", "in_force"): "zset",
    ("config", "running"): "hash",
    ("config", "drift"): "hash",
    ("config", "aliases"): "hash",
    ("config", "aliases", "tries"): "hash",
    ("config", "evidence"): "string",
    ("config", "evidence", "points"): "list",
    ("certificates",): "hash",
    ("certificates", "rollouts"): "hash",
    ("certificates", "order"): "zset",
    ("timeline",): "stream",
    ("timeline", "lost"): "string",
    ("timeline", "lost", "told"): "string",
}
REMEDY: Final = "`ballast config repair` removes it. Find out who wrote it."
_WORDS = {"zset": "sorted set"}

# In one step with a look at the type: another process may have removed it and written its own.
_DROP = f"""
{NOTE}
local dropped = {{}}
for at = 1, #KEYS - 2 do
    if redis.call('TYPE', KEYS[at]).ok == ARGV[2 * at - 1] then
        redis.call('UNLINK', KEYS[at])
        dropped[#dropped + 1] = at
    end
end
for _, at in ipairs(dropped) do note(KEYS[#KEYS - 1], KEYS[#KEYS], ARGV[2 * at]) end
return dropped
"""


class Stray(NamedTuple):
    """A key that holds another type than the platform writes there."""

    key: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return (
            f"{self.key} in Redis is of another type than this platform writes: a "
            f"{_in_words(self.found)} in the place of a {_in_words(self.wanted)}"
        )


class Strays:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._beside = {redis_name(redis, *parts): kind for parts, kind in BESIDE.items()}
        self._all = {redis_name(redis, *parts): kind for parts, kind in STATE.items()}
        self._all |= self._beside
        self._stream_keys = stream_keys(redis)
        self._drop = redis.register_script(_DROP)

    async def find(self) -> list[Stray]:
        pipe = self._redis.pipeline(transaction=False)
        for key in self._all:
            pipe.type(key)
        kinds = [_text(each) for each in await pipe.execute()]
        return [
            Stray(key, found, wanted)
            for (key, wanted), found in zip(self._all.items(), kinds, strict=True)
            if found not in {wanted, "none"}
        ]

    async def beside_the_state(self) -> list[Stray]:
        return [each for each in await self.find() if each.key in self._beside]

    async def drop(self, by: Actor, now: float) -> list[Stray]:
        """Remove those beside the state, and note each on the timeline; give what was removed."""
        if not (found := await self.beside_the_state()):
            return []
        args: list[str | bytes] = []
        for each in found:
            noted = event("config_stray_removed", now, by, **each._asdict())
            args += [each.found, noted.to_json()]
        keys = [*(each.key for each in found), *self._stream_keys]
        dropped: Any = await self._drop(keys=keys, args=args)
        return [found[int(at) - 1] for at in dropped]

    async def name(self, refusal: ResponseError) -> None:
        """Raise what says of which key a type is wrong, and what to do, if Redis refuses for it."""
        if "WRONGTYPE" in str(refusal) and (found := await self.find()):
            raise stray_key_error(found) from refusal


def stray_key_error(found: Sequence[Stray]) -> StrayKeyError:
    return StrayKeyError([str(each) for each in found], [each.key for each in found])


def _in_words(kind: str) -> str:
    return _WORDS.get(kind, kind)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
