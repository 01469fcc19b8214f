"""Where API keys are kept: Redis, hashed, with a notice to every gateway when one changes."""

import secrets
from collections.abc import Callable
from datetime import datetime

from redis.asyncio import Redis

from access.errors import DuplicateKeyError, UnknownKeyError
from access.keys import IssuedKey, KeyRecord, KeyRing, Role, issue_key
from settings.redis_names import redis_name


class KeyStore:
    """The keys in Redis; a Redis that is away shows as redis.exceptions.RedisError."""

    def __init__(
        self, redis: Redis, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._redis = redis
        self.records_key = redis_name(redis, "keys")
        # Revocation is a set beside the records: adding to it cannot race with anything, and a
        # record once written never changes.
        self.revoked_key = redis_name(redis, "keys", "revoked")
        self.channel = redis_name(redis, "keys", "changed")
        self._random_bytes = random_bytes

    async def create(self, role: Role, note: str, now: datetime) -> IssuedKey:
        issued = issue_key(role, note, now, self._random_bytes)
        record = issued.record
        if not await self._redis.hsetnx(self.records_key, record.key_id, record.model_dump_json()):
            raise DuplicateKeyError(record.key_id)
        await self._redis.publish(self.channel, record.key_id)
        return issued

    async def list(self) -> tuple[KeyRecord, ...]:
        """List every key ever made, oldest first, revoked ones included."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hvals(self.records_key)
            pipe.smembers(self.revoked_key)
            stored, revoked = await pipe.execute()
        records = (KeyRecord.model_validate_json(line) for line in stored)
        marked = (
            record.model_copy(update={"revoked": record.key_id.encode() in revoked})
            for record in records
        )
        return tuple(sorted(marked, key=lambda record: (record.created, record.key_id)))

    async def revoke(self, key_id: str) -> None:
        if not await self._redis.hexists(self.records_key, key_id):
            raise UnknownKeyError(key_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self.revoked_key, key_id)
            pipe.publish(self.channel, key_id)
            await pipe.execute()

    async def ring(self) -> KeyRing:
        """Load the snapshot that requests are checked against; what a watch loads."""
        return KeyRing(await self.list())
