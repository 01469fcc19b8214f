"""Where vectors lie in Redis: written with the rows that models read, read all at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from features.definitions.catalogue import Catalogue
from features.errors import UnreadableFeaturesError
from features.vectors.vector import ID_BYTES, Layout, Vector, layout_of
from settings.redis_names import redis_name

OWN = layout_of(Catalogue().versions)
"""The layout of this release."""


def as_stored(
    redis: Redis, vectors: Mapping[str, Vector], layout: Layout = OWN
) -> dict[str, bytes]:
    """Give what Redis holds of vectors, by key, and of their layout."""
    found = {_key(redis, entity): each.encode(layout) for entity, each in vectors.items()}
    return found | {_layout_key(redis, layout.id): layout.encoded}


class PublishedVectors:
    """Reads vectors; of a layout that another release wrote it learns once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._layouts = {OWN.id: OWN}

    async def read(self, entities: Sequence[str]) -> list[tuple[Layout, bytes] | None]:
        """Give each entity's vector with its layout; None where there is none to be read."""
        stored: Any = await self._redis.mget([_key(self._redis, each) for each in entities])
        unknown = {each[:ID_BYTES] for each in stored if each} - self._layouts.keys()
        for layout_id in unknown:
            await self._learn(layout_id)
        return [self._readable(each) for each in stored]

    def _readable(self, encoded: bytes | None) -> tuple[Layout, bytes] | None:
        layout = self._layouts.get(encoded[:ID_BYTES]) if encoded else None
        if encoded is None or layout is None or len(encoded) != ID_BYTES + 8 * layout.numbers:
            return None
        return layout, encoded

    async def _learn(self, layout_id: bytes) -> None:
        encoded: Any = await self._redis.get(_layout_key(self._redis, layout_id))
        try:
            layout = Layout.decode(encoded or b"")
        except UnreadableFeaturesError:
            return
        if layout.id == layout_id:
            self._layouts[layout_id] = layout


def _key(redis: Redis, entity: str) -> str:
    return redis_name(redis, "feature-vectors", entity)


def _layout_key(redis: Redis, layout_id: bytes) -> str:
    return redis_name(redis, "feature-layouts", layout_id.hex())


async def forget(redis: Redis, entities: Sequence[str]) -> None:
    """Delete what was published of entities."""
    await redis.delete(*(_key(redis, each) for each in entities))
