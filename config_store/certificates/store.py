"""Keeps certificates in Redis, each under the hash of its content: none is ever overwritten.

Beside them is, for each rollout, the list of its certificates in the order in which they were
written: the rollout's state forgets it when the next one ends.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import orjson
from redis.asyncio import Redis

from config_store.certificates.certificate import Certificate
from config_store.errors import UnknownCertificateError
from settings.redis_names import redis_name


class CertificateStore:
    """Raises what an absent Redis raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "certificates")
        self._listed_key = redis_name(redis, "certificates", "rollouts")

    async def keep(self, certificate: Certificate, earlier: Sequence[str] = ()) -> None:
        """Keep a certificate, written after these of its rollout; one that is there stays."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.hsetnx(self._key, certificate.hash, certificate.model_dump_json())
        listed = [*(each for each in earlier if each != certificate.hash), certificate.hash]
        pipe.hset(self._listed_key, certificate.plan.rollout, orjson.dumps(listed))
        await pipe.execute()

    async def listed(self, rollout: str) -> list[str]:
        """Name the certificates of a rollout; none of one that is not known."""
        found: Any = await self._redis.hget(self._listed_key, rollout)
        hashes: list[str] = [] if found is None else orjson.loads(found)
        return hashes

    async def page(self, hashes: Sequence[str], most_bytes: int) -> list[bytes]:
        """Load the first of these certificates, as many as fit; one at least."""
        pipe = self._redis.pipeline(transaction=False)
        for each in hashes:
            pipe.hstrlen(self._key, each)
        sizes = accumulate(await pipe.execute())
        fitting = sum(size <= most_bytes for size in sizes)
        return await self.load(hashes[: max(fitting, 1)])

    async def load(self, hashes: Sequence[str]) -> list[bytes]:
        """Load the certificates with these hashes, in this order, as they were written."""
        if not hashes:
            return []
        found: Any = await self._redis.hmget(self._key, list(hashes))
        for name, written in zip(hashes, found, strict=True):
            if written is None:
                raise UnknownCertificateError(name)
        return list(found)
