"""What a version pins beside its document: all that decides an answer.

It is noted once, when validation first finds the version good, and never changes: who wants newer
models drafts anew. It is no part of the document, so the hashes of older versions stay as they are.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson
from redis.asyncio import Redis

from config_store.document import ConfigDocument
from settings.frozen import Frozen
from settings.redis_names import redis_name


class PinnedModel(Frozen):
    """The model that an alias named when the version was validated."""

    version: str
    digest: str
    alias: str


class Release(Frozen):
    models: dict[str, PinnedModel]
    features: str  # hash of the definitions
    policy: str  # hash of the safety policy
    calibration: str  # hash of the models' digests: their intervals are calibrated in their files
    platform: str  # the release of the code that validated it


def release_of(
    document: ConfigDocument, models: Mapping[str, PinnedModel], platform: str
) -> Release:
    fields = document.model_dump(mode="json")
    digests = {name: each.digest for name, each in models.items()}
    return Release(
        models=dict(models),
        features=_hash(fields["features"]),
        policy=_hash(fields["safety"]),
        calibration=_hash(digests),
        platform=platform,
    )


class ReleaseStore:
    """The releases in Redis, by the number and hash of their versions."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.key = redis_name(redis, "config", "releases")

    async def pin(self, version: int, config_hash: str, release: Release) -> None:
        """Note a version's release, unless one is noted already."""
        name = _field(version, config_hash)
        await self._redis.hsetnx(self.key, name, release.model_dump_json())

    async def of(self, version: int, config_hash: str) -> Release | None:
        found = await self._redis.hget(self.key, _field(version, config_hash))
        return None if found is None else Release.model_validate_json(found)


def _field(version: int, config_hash: str) -> str:
    # A Redis that lost its last second may give a number out a second time.
    return f"{version}:{config_hash}"


def _hash(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
