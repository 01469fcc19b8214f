"""The secret that the platform's own processes show each other; made once, kept in Redis."""

import secrets

from redis.asyncio import Redis

KEY = "ballast:wire:secret"


async def wire_secret(redis: Redis) -> bytes:
    """Give the secret; of any number of processes that ask a fresh Redis, one makes it."""
    await redis.set(KEY, secrets.token_hex(32), nx=True)
    found = await redis.get(KEY)
    return found if isinstance(found, bytes) else str(found).encode()
