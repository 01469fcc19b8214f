"""The secret by which the platform's own processes know each other; made once, kept in Redis."""

import secrets

from redis.asyncio import Redis

from settings.redis_names import redis_name


async def wire_secret(redis: Redis) -> bytes:
    """Give the secret; of any number of processes that ask a fresh Redis, one makes it."""
    key = redis_name(redis, "wire", "secret")
    await redis.set(key, secrets.token_hex(32), nx=True)
    found = await redis.get(key)
    return found if isinstance(found, bytes) else str(found).encode()
