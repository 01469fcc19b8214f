"""Where API keys are kept: Redis, hashed, with a notice to every gateway when one changes."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError
from redis.asyncio import Redis

from access.errors import DuplicateKeyError, UnknownKeyError
from access.keys import IssuedKey, KeyRecord, KeyRing, Role, issue_key
from settings.redis_names import redis_name

log = logging.getLogger(__name__)


class StoredKeys(NamedTuple):
    """All keys ever made, oldest first, and the ids of those that this release cannot read."""

    records: tuple[KeyRecord, ...]
    unread: tuple[str, ...]


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
        self._said: tuple[str, ...] = ()

    async def create(self, role: Role, note: str, now: datetime) -> IssuedKey:
        issued = issue_key(role, note, now, self._random_bytes)
        record = issued.record
        if not await self._redis.hsetnx(self.records_key, record.key_id, record.model_dump_json()):
            raise DuplicateKeyError(record.key_id)
        await self._redis.publish(self.channel, record.key_id)
        return issued

    async def list(self) -> tuple[KeyRecord, ...]:
        """List every key ever made that can be read, oldest first, revoked ones included."""
        return (await self.read()).records

    async def read(self) -> StoredKeys:
        """Read all keys; a record that a later release wrote, or somebody spoilt, costs no other.

        A key that is revoked needs no reading.
        """
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(self.records_key)
            pipe.smembers(self.revoked_key)
            stored, revoked = await pipe.execute()
        records, unread = [], []
        for key_id, line in stored.items():
            try:
                record = KeyRecord.model_validate_json(line)
            except ValidationError:
                if key_id not in revoked:
                    unread.append(key_id.decode(errors="replace"))
                continue
            gone = not {key_id, record.key_id.encode()}.isdisjoint(revoked)
            records.append(record.model_copy(update={"revoked": gone}))
        records.sort(key=lambda record: (record.created, record.key_id))
        return StoredKeys(tuple(records), tuple(sorted(unread)))

    async def revoke(self, key_id: str) -> None:
        if not await self._redis.hexists(self.records_key, key_id):
            raise UnknownKeyError(key_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(self.revoked_key, key_id)
            pipe.publish(self.channel, key_id)
            await pipe.execute()

    async def ring(self) -> KeyRing:
        """Load the snapshot that requests are checked against; what a watch loads."""
        records, unread = await self.read()
        if unread != self._said:
            self._said = unread
            for key_id in unread:
                log.error(
                    "The record of the API key %s cannot be read, and the key opens nothing: a "
                    "later release wrote it, or somebody changed it. `ballast key revoke %s` ends "
                    "it",
                    key_id,
                    key_id,
                )
        return KeyRing(records, unread)
