"""Keeps certificates in Redis, each under the hash of its content: none is ever overwritten."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from config_store.certificates.certificate import Certificate
from config_store.errors import UnknownCertificateError
from settings.redis_names import redis_name


class CertificateStore:
    """Raises what an absent Redis raises."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._key = redis_name(redis, "certificates")

    async def keep(self, certificate: Certificate) -> None:
        """Keep a certificate; one that is there already stays as it is."""
        written = certificate.model_dump_json()
        await self._redis.hsetnx(self._key, certificate.hash, written)

    async def load(self, hashes: Sequence[str]) -> list[Certificate]:
        """Load the certificates with these hashes, in this order."""
        if not hashes:
            return []
        found: list[Any] = await self._redis.hmget(self._key, list(hashes))
        for name, written in zip(hashes, found, strict=True):
            if written is None:
                raise UnknownCertificateError(name)
        return [Certificate.model_validate_json(written) for written in found]
