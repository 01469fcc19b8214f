"""Opens what the history works on: Redis, the column store, and the right to write into it."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

import ray
from redis.asyncio import Redis

from features.telemetry.tables import create_measurements, drop_made_up, keep_for
from observability.clickhouse import Clickhouse, open_store
from observability.clickhouse.home import claim
from observability.clickhouse.lease import Lease, platform_id
from observability.errors import ClickhouseError
from observability.schema import create_tables, refine_decisions
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

CLAIM_AGAIN_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """What one history has open."""

    redis: Redis
    store: Clickhouse
    lease: Lease | None
    """Of a server, which other platforms may name too; an embedded store needs none."""

    async def close(self) -> None:
        if self.lease is not None:
            with suppress(ClickhouseError):  # it ends by itself, a while later
                await asyncio.to_thread(self.lease.end)
        await asyncio.to_thread(self.store.close)
        await self.redis.aclose()


async def open_history(settings: Settings) -> Opened:
    """Open Redis and the store; where one cannot be had, close what was opened."""
    lease = None
    async with AsyncExitStack() as undo:
        redis = open_redis(settings.redis_address, settings.redis_prefix)
        undo.push_async_callback(redis.aclose)
        if settings.clickhouse_url is None:
            await _claim_archive(redis, settings)
        store = await asyncio.to_thread(open_store, settings.clickhouse_url, settings.paths.history)
        undo.push_async_callback(asyncio.to_thread, store.close)
        if settings.clickhouse_url is not None:
            lease = Lease(store, await platform_id(redis))
            await asyncio.to_thread(lease.take)
            undo.push_async_callback(asyncio.to_thread, lease.end)
        await asyncio.to_thread(create_tables, store)
        await asyncio.to_thread(create_measurements, store)
        await asyncio.to_thread(keep_for, store, settings.measurement_days)
        if settings.clickhouse_url is None:
            await asyncio.to_thread(refine_decisions, store)
            await asyncio.to_thread(drop_made_up, store)
        undo.pop_all()
    return Opened(redis, store, lease)


async def _claim_archive(redis: Redis, settings: Settings) -> None:
    """Open no folder but the archive's; Redis knows which, and is waited for."""
    node = ray.util.get_node_ip_address()
    while True:
        try:
            await claim(redis, settings.paths.history, node)
        except REDIS_AWAY as away:
            log.warning(
                "Redis cannot be reached, and only Redis knows where the archive is: %r", away
            )
            await asyncio.sleep(CLAIM_AGAIN_SECONDS)
        else:
            return
