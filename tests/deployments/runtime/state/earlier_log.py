"""The log as the release before tombstones wrote it: deletions by expiry, only entry 1 listed."""

from collections.abc import Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from deployments.runtime.state.entries import KEPT_IDS, Append, Saved, saved
from deployments.runtime.state.log import KeyLog, _taken
from deployments.runtime.state.scripts import DELETED_SECONDS

_SAVE = """
local saved = tonumber(redis.call('HGET', KEYS[1], 'n') or '-1')
if tonumber(ARGV[1]) < saved then return 0 end
redis.call('HSET', KEYS[1], 'n', ARGV[1], 's', ARGV[2], 'i', ARGV[3])
redis.call('XTRIM', KEYS[2], 'MINID', tonumber(ARGV[1]) + 1)
return 1
"""
_DELETE = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'n', ARGV[1], 's', '')
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[3])
return 1
"""


class EarlierKeyLog(KeyLog):
    """What that release did with Redis, command by command."""

    def __init__(self, redis: Redis, kind: str) -> None:
        super().__init__(redis, kind)
        self._earlier_save = redis.register_script(_SAVE)
        self._earlier_delete = redis.register_script(_DELETE)

    async def append(self, appends: Sequence[Append]) -> list[bool | None]:
        pipe = self._redis.pipeline(transaction=False)
        for each in appends:
            events = b'["removed"]' if each.ends else each.events
            fields: Any = {b"e": events, b"i": orjson.dumps(each.rows)}
            pipe.xadd(self._log(each.key), fields, id=f"{each.number}-0")
        born = [each.key for each in appends if each.number == 1]
        if born:
            pipe.zadd(self.index, dict.fromkeys(born, 0))
        found = await pipe.execute(raise_on_error=False)
        taken = [_taken(result) for result in found[: len(appends)]]
        for each, good in zip(appends, taken, strict=True):
            if good and each.ends:
                names = [self._snapshot(each.key), self._log(each.key), self.index]
                await self._earlier_delete(
                    keys=names, args=[each.number, DELETED_SECONDS, each.key]
                )
        return taken

    async def read(self, keys: Sequence[str]) -> list[Saved]:
        if not keys:
            return []
        pipe = self._redis.pipeline(transaction=True)
        for key in keys:
            # It knew of no marks; the service that uses this one compares them.
            pipe.hmget(self._snapshot(key), "n", "s", "i", "m")
            pipe.xrange(self._log(key))
        found = await pipe.execute()
        return [saved(*found[at : at + 2]) for at in range(0, len(found), 2)]

    async def save(
        self,
        key: str,
        number: int,
        state: bytes,
        rows: Sequence[str],
        mark: str = "",  # noqa: ARG002 - it had none
    ) -> bool:
        ids = orjson.dumps(rows[-KEPT_IDS:])
        names = [self._snapshot(key), self._log(key)]
        await self._earlier_save(keys=names, args=[number, state, ids])
        return True

    async def clear_deleted(self, most: int) -> int:  # noqa: ARG002 - Redis does it, by expiry
        return 0
