"""Which new keys may begin: while storage has room, and as many as their owners' quotas allow.

Who created a key stands in Redis: a hash of keys and their owners for each quota, and beside it how
many each owner has. Scripts change both at once, so that they cannot differ. A place is taken
before a key's first entry is appended and given back when nothing came of it, or with its deletion.
A replica that dies in between leaves a place taken: whoever begins that key next takes it over, and
every replica that starts looks for such places (`heal`). One that was only stopped may find its
place given back or taken over meanwhile: the first entry itself takes it again. No key in the index
ever loses its place, or counts for anybody but who began it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from config_store.quotas import Counted
from deployments.runtime.batch import Owner, Refusal
from deployments.runtime.state.entries import QuotaPlace
from deployments.runtime.state.log import KeyLog
from settings.redis_names import redis_name

# Takes places for keys as long as the owner has any left; gives a 1 or 0 for each, then the count.
# A key that is in the index began after its holder had read that it did not exist: it keeps its
# place, and the holder finds out when its own first entry is refused. The first arguments are the
# owner, how many it may have, and what the places' names begin with.
_TAKE = """
local found = {}
for at = 4, #ARGV do
  local name = ARGV[3] .. ARGV[at]
  local owner = redis.call('HGET', KEYS[1], name)
  if owner == ARGV[1] or redis.call('ZSCORE', KEYS[3], ARGV[at]) then
    found[#found + 1] = 1
  elseif tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0') < tonumber(ARGV[2]) then
    if owner and redis.call('HINCRBY', KEYS[2], owner, -1) <= 0 then
      redis.call('HDEL', KEYS[2], owner)
    end
    redis.call('HSET', KEYS[1], name, ARGV[1])
    redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
    found[#found + 1] = 1
  else
    found[#found + 1] = 0
  end
end
found[#found + 1] = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
return found
"""

# Gives places back, but those of keys that are in the index; gives how many there were. The first
# argument is what their places' names begin with.
_FREE = """
local freed = 0
for at = 2, #ARGV do
  local name = ARGV[1] .. ARGV[at]
  local owner = redis.call('HGET', KEYS[1], name)
  if owner and not redis.call('ZSCORE', KEYS[3], ARGV[at]) then
    redis.call('HDEL', KEYS[1], name)
    if redis.call('HINCRBY', KEYS[2], owner, -1) <= 0 then redis.call('HDEL', KEYS[2], owner) end
    freed = freed + 1
  end
end
return freed
"""

# A place may be taken for so long before its key is in the index.
ON_THEIR_WAY_SECONDS = 10.0
_PAGE = 1_000


class Creation:
    """The new keys of one kind."""

    def __init__(
        self,
        redis: Redis,
        log: KeyLog,
        quota: Counted,
        no_room: Callable[[], str | None],
        refused: Callable[[str], None],
    ) -> None:
        """`no_room` says why nothing may begin at present; `refused` counts refusals by quota."""
        self._redis = redis
        self._log = log
        self._quota: Counted = quota
        self._no_room = no_room
        self._refused = refused
        self._names = [redis_name(redis, "quotas", quota, each) for each in ("owners", "owned")]
        self._take = redis.register_script(_TAKE)
        self._free = redis.register_script(_FREE)

    async def admit(self, beginning: Mapping[str, Owner | None]) -> dict[str, Refusal]:
        """Take a place for each new key; give those that may not begin, with the reason."""
        if beginning and (why := self._no_room()) is not None:
            return {key: {"code": "unavailable", "message": why} for key in beginning}
        refusals: dict[str, Refusal] = {}
        owners = dict.fromkeys(owner for owner in beginning.values() if owner is not None)
        for owner in owners:
            keys = [key for key, whose in beginning.items() if whose == owner]
            refusals |= await self._admit(owner, keys)
        return refusals

    async def free(self, keys: Iterable[str]) -> int:
        """Give places back: their keys were deleted, or did not begin; give how many there were."""
        if not (freed := list(keys)):
            return 0
        names = [*self._names, self._log.index]
        return int(await self._free(keys=names, args=[self._place(""), *freed]))

    def place(self, key: str, owner: Owner) -> QuotaPlace:
        """Name the place that the first entry of a key takes, should it be lost by then."""
        owners, owned = self._names
        return QuotaPlace(owners, owned, self._place(key), owner[0])

    async def heal(self, wait_seconds: float = ON_THEIR_WAY_SECONDS) -> int:
        """Give back the places of keys that do not exist; give how many there were."""
        suspects = await self._without_keys([key async for key in self._taken()])
        if not suspects:
            return 0
        await asyncio.sleep(wait_seconds)
        return sum(
            [await self.free(suspects[at : at + _PAGE]) for at in range(0, len(suspects), _PAGE)]
        )

    async def _admit(self, owner: Owner, keys: Sequence[str]) -> dict[str, Refusal]:
        key_id, most = owner
        names = [*self._names, self._log.index]
        *taken, count = await self._take(keys=names, args=[key_id, most, self._place(""), *keys])
        why = (
            f"The key {key_id} has {count} {self._quota} and may create {most}: delete some, or "
            f"ask an operator to raise quotas.keys.{key_id}.{self._quota} in the configuration"
        )
        refused = [key for key, good in zip(keys, taken, strict=True) if not good]
        for _ in refused:
            self._refused(self._quota)
        return {key: {"code": "quota", "message": why} for key in refused}

    def _place(self, key: str) -> str:
        # Two kinds of stream share one quota.
        return f"{self._log.kind}:{key}"

    async def _taken(self) -> Any:
        own = self._place("")
        async for name, _ in self._redis.hscan_iter(self._names[0], match=f"{own}*", count=_PAGE):
            yield name.decode().removeprefix(own)

    async def _without_keys(self, keys: Sequence[str]) -> list[str]:
        found: list[str] = []
        for at in range(0, len(keys), _PAGE):
            page = keys[at : at + _PAGE]
            listed = await self._log.listed(page)
            found += [key for key, there in zip(page, listed, strict=True) if not there]
        return found
