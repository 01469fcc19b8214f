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
from deployments.runtime.state.service import KeyedService
from settings.redis_names import redis_name

# Who counted an outcome may be late to say so: what stands there of more outcomes is newer. What
# cannot be read is written over.
_PUBLISH_NEWER = """
local there = redis.call('HGET', KEYS[1], ARGV[1])
local read, standing = pcall(cjson.decode, there or '')
local outcomes = read and type(standing) == 'table' and tonumber(standing.outcomes)
if outcomes and outcomes > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


def offsets_key(redis: Redis) -> str:
    return redis_name(redis, "coverage", "standings")


def key_of(family: str, entity: str) -> str:
    return f"{family}|{entity}"


class OutcomeRecorder:
    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._publish_newer = redis.register_script(_PUBLISH_NEWER)
        log = KeyLog(redis, CoverageHandler.kind)
        self._service: KeyedService[Online] = KeyedService(CoverageHandler(), log, clock)

    async def take(self, family: str, entity: str, ask: TakeOutcome) -> dict[str, Any]:
        """Count one outcome; answer whether its interval held it, and how things stand."""
        key = key_of(family, entity)
        batch = Batch("coverage", [entity], {}, [ask], [key], [secrets.token_hex(16)])
        prediction = await self._service.answer(batch, "coverage/adaptive", "1")
        if why := prediction.refusals.get(0):
            if why["code"] == "conflict":  # who counted it may not have come to say so
                summary = await self._service.look(key, Online.summary)
                if summary is not None:
                    await self._publish(key, summary)
            raise REFUSALS[why["code"]](why["message"], why.get("fields"))
        detail = prediction.details[0] or {}
        found: dict[str, Any] = detail.get("data", {})
        record = {name: value for name, value in found.items() if name != "held"}
        await self._publish(key, record)
        return found

    async def _publish(self, key: str, record: dict[str, Any]) -> None:
        values = [key, record["outcomes"], orjson.dumps(record)]
        await self._publish_newer(keys=[offsets_key(self._redis)], args=values)

    async def tidy(self) -> None:
        await self._service.tidy()

    async def close(self) -> None:
        await self._service.close()
