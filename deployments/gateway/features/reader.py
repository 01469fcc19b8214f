"""Reads vectors of features: from memory, or with one request to Redis; and writes them."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from deployments.api.errors import InvalidError, NotFoundError, UnavailableError
from deployments.api.features import MOST_VALUES, VectorsQuery
from deployments.definitions.in_force import (
    ActiveDefinition,
    Decided,
    catalogue_in_force,
    definitions_key,
)
from deployments.gateway.features.written_rows import WrittenRows
from features.definitions.catalogue import Catalogue
from features.errors import UnknownFeaturesError
from features.vectors.kept import KeptVectors
from features.vectors.published import PublishedVectors
from features.vectors.reading import Features, Reading, Stored
from settings.redis_connection import REDIS_AWAY

# Different lists of features that are asked for; of more the oldest is worked out again.
MOST_READINGS = 64


class FeatureReader:
    """Reads vectors by the definitions of a configuration."""

    def __init__(
        self, redis: Redis, clock: Callable[[], float], refresh_seconds: Callable[[], float]
    ) -> None:
        self.vectors = KeptVectors(PublishedVectors(redis), clock, refresh_seconds)
        self.decided: Decided | None = None
        """Which definitions are in force, as the history decided last."""
        self._redis = redis
        self._decided_bytes: bytes | None = None
        self._config: FeatureConfig | None = None
        self._catalogue = Catalogue()
        self._readings: dict[tuple[str, ...], Reading] = {}
        self._rows = WrittenRows()

    def catalogue(self, config: FeatureConfig) -> Catalogue:
        """Give the definitions in force; they are put together once for each configuration."""
        if self._config is not config:
            self._config, self._catalogue = config, catalogue_in_force(config, self.decided)
            self._readings, self._rows = {}, WrittenRows()
        return self._catalogue

    async def refresh_definitions(self) -> None:
        """Learn which definitions are in force."""
        stored: Any = await self._redis.get(definitions_key(self._redis))
        if stored == self._decided_bytes:
            return
        decided, self._decided_bytes = Decided.read(stored), stored
        if _named(decided) != _named(self.decided):
            self._config = None  # they are put together anew
        self.decided = decided

    async def read_one(
        self, config: FeatureConfig, entity: str, names: Sequence[str], now: float
    ) -> bytes:
        """Write an entity's vector; raises NotFoundError where there is none."""
        reading = self._reading(config, names)
        found = await self._read_stored([entity])
        if found == [None]:
            raise NotFoundError(
                f"There are no features of an entity {entity!r}: nothing was measured of it in "
                "the last 7 days. GET /entities lists those that are known"
            )
        return _json(_as_vector(entity, reading.read(found, now)))

    async def read_many(self, config: FeatureConfig, query: VectorsQuery, now: float) -> bytes:
        """Write several entities' vectors; refuses too much at once."""
        reading = self._reading(config, query.features)
        if len(query.entities) * len(reading.names) > MOST_VALUES:
            raise InvalidError(
                "The request asks for too many values",
                {
                    "features": f"{len(query.entities)} entities with {len(reading.names)} "
                    f"features are more than {MOST_VALUES} values: ask in parts"
                },
            )
        found = await self._read_stored(query.entities)
        if query.answer == "columns":
            return _json(_as_columns(query.entities, reading.read(found, now)))
        return self._rows.answer(reading, query.entities, found, now)

    def _reading(self, config: FeatureConfig, names: Sequence[str]) -> Reading:
        """Refuse names that nobody defined; what they mean is worked out once."""
        catalogue, wanted = self.catalogue(config), tuple(names)
        known = self._readings.get(wanted)
        if known is None:
            try:
                known = Reading(catalogue, catalogue.known(wanted))
            except UnknownFeaturesError as unknown:
                fields = {"features": str(unknown)}
                raise InvalidError("A feature does not exist", fields) from unknown
            while len(self._readings) >= MOST_READINGS:
                del self._readings[next(iter(self._readings))]
            self._readings[wanted] = known
        return known

    async def _read_stored(self, entities: Sequence[str]) -> list[Stored | None]:
        try:
            return await self.vectors.read(entities)
        except REDIS_AWAY as away:
            raise UnavailableError(
                "Redis, which holds the features, cannot be reached: try again"
            ) from away


def _named(decided: Decided | None) -> dict[str, ActiveDefinition]:
    return {} if decided is None else decided.named


def _as_vector(entity: str, found: Features) -> dict[str, Any]:
    """Write one entity's vector as clients see it."""
    cells = zip(
        found.names,
        found.values[0].tolist(),
        found.event_time[0].tolist(),
        found.known_time[0].tolist(),
        found.stale[0].tolist(),
        found.outside[0].tolist(),
        strict=True,
    )
    features = {
        name: {
            "value": value,
            "event_time": event_time,
            "known_time": known_time,
            "stale": stale,
            "why": _why(value, outside=outside),
        }
        for name, value, event_time, known_time, stale, outside in cells
    }
    return {"entity": entity, "features": features}


def _why(value: float, *, outside: bool) -> str | None:
    if outside:
        return "out of bounds"
    return "missing" if math.isnan(value) else None


def _as_columns(entities: Sequence[str], found: Features) -> dict[str, Any]:
    """Write several entities' vectors as clients see them, a column a feature."""
    parts = {
        "values": found.values,
        "event_time": found.event_time,
        "known_time": found.known_time,
        "stale": found.stale,
    }
    turned = {word: np.ascontiguousarray(each.T) for word, each in parts.items()}
    by_name = {
        name: {word: each[at] for word, each in turned.items()}
        for at, name in enumerate(found.names)
    }
    return {"entities": entities, "columns": by_name}


def _json(content: dict[str, Any]) -> bytes:
    """Write NaN as null, and arrays as lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
