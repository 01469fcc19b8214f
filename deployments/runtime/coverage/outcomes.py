"""Takes outcomes, and tells everybody where each entity's intervals stand now.

Any process may take an outcome: the state is kept by its log in Redis, and two that take outcomes
of one entity at once do not fork it (deployments/runtime/state/log.py).
"""

import secrets
from collections.abc import Callable
from typing import Any

import orjson
from redis.asyncio import Redis

from deployments.api.errors import REFUSALS
from deployments.runtime.batch import Batch
from deployments.runtime.coverage.handler import CoverageHandler, Online
from deployments.runtime.coverage.operations import TakeOutcome
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.position import POSITION
from deployments.runtime.state.service import KeyedService
from settings.redis_names import redis_name

# Who counted an outcome may be late to say so: where the key's log has gone on, whoever wrote the
# later entry says how things stand.
_PUBLISH_LATEST = f"""
{POSITION}
local number, mark = position(KEYS[2], KEYS[3])
if number ~= tonumber(ARGV[1]) or mark ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return 1
"""


def offsets_key(redis: Redis) -> str:
    return redis_name(redis, "coverage", "standings")


def key_of(family: str, entity: str) -> str:
    return f"{family}|{entity}"


class OutcomeRecorder:
    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._publish_latest = redis.register_script(_PUBLISH_LATEST)
        self._log = KeyLog(redis, CoverageHandler.kind)
        self._service: KeyedService[Online] = KeyedService(CoverageHandler(), self._log, clock)

    async def take(self, family: str, entity: str, ask: TakeOutcome) -> dict[str, Any]:
        """Count one outcome; answer whether its interval held it, and how things stand."""
        key = key_of(family, entity)
        batch = Batch("coverage", [entity], {}, [ask], [key], [secrets.token_hex(16)])
        prediction = await self._service.answer(batch, "coverage/adaptive", "1")
        if why := prediction.refusals.get(0):
            if why["code"] == "conflict":  # who counted it may not have come to say so
                await self._publish(key)
            raise REFUSALS[why["code"]](why["message"], why.get("fields"))
        detail = prediction.details[0] or {}
        found: dict[str, Any] = detail.get("data", {})
        await self._publish(key)
        return found

    async def _publish(self, key: str) -> None:
        """Say how things stand; this may be later than the outcome that was just taken."""
        if (looked := await self._service.look(key, Online.summary)) is None:
            return
        names = [offsets_key(self._redis), *self._log.names_of(key)]
        await self._publish_latest(
            keys=names, args=[*looked.position, key, orjson.dumps(looked.shown)]
        )

    async def tidy(self) -> None:
        await self._service.tidy()

    async def close(self) -> None:
        await self._service.close()
