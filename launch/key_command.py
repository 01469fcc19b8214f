"""Makes, lists and revokes API keys for the command line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from access.errors import UnknownKeyError
from access.key_store import KeyStore
from access.keys import Role
from launch.errors import LaunchError
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis


@asynccontextmanager
async def _keys(settings: Settings) -> AsyncIterator[KeyStore]:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        yield KeyStore(redis)
    except REDIS_AWAY:
        raise LaunchError(
            "Redis, which holds the keys, does not answer: start it with `ballast up`."
        ) from None
    finally:
        await redis.aclose()


async def create(settings: Settings, role: Role, note: str, now: datetime) -> str:
    async with _keys(settings) as keys:
        return (await keys.create(role, note, now)).presented


async def listed(settings: Settings) -> str:
    async with _keys(settings) as keys:
        records, unread = await keys.read()
    lines = [
        (
            f"{r.key_id}  {r.role:<9} {r.created:%Y-%m-%d %H:%M}  "
            f"{('revoked' if r.revoked else 'good'):<8} {r.note}"
        )
        for r in records
    ]
    lines += [f"{key_id}  cannot be read by this release, and opens nothing" for key_id in unread]
    return "\n".join(lines) or "There are no keys yet."


async def revoke(settings: Settings, key_id: str) -> str:
    async with _keys(settings) as keys:
        try:
            await keys.revoke(key_id)
        except UnknownKeyError as error:
            raise LaunchError(str(error)) from None
    return f"{key_id} is revoked."
