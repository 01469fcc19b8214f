"""Answers questions for features: one question to Redis, and the rest by column."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from deployments.api.errors import InvalidError, UnavailableError
from deployments.api.features import MOST_VALUES, FeatureShown, VectorsQuery
from features.definitions.catalogue import Catalogue
from features.definitions.definition import Calendar, Definition, Judged, Live, Window
from features.definitions.expression import Expression
from features.errors import UnknownFeaturesError
from features.vectors.published import PublishedVectors
from features.vectors.reading import Features, read
from settings.redis_connection import REDIS_AWAY


class FeatureReader:
    """Reads vectors by the definitions of a configuration."""

    def __init__(self, redis: Redis) -> None:
        self._published = PublishedVectors(redis)
        self._config: FeatureConfig | None = None
        self._catalogue = Catalogue()

    def catalogue(self, config: FeatureConfig) -> Catalogue:
        """Give the definitions; they are put together once for each configuration."""
        if self._config is not config:
            self._config, self._catalogue = config, config.catalogue()
        return self._catalogue

    async def read(
        self, config: FeatureConfig, entities: Sequence[str], names: Iterable[str], now: float
    ) -> Features:
        """Give features of entities; refuses names that nobody defined, and too many at once."""
        catalogue = self.catalogue(config)
        try:
            known = catalogue.known(names)
        except UnknownFeaturesError as unknown:
            raise InvalidError("A feature does not exist", {"features": str(unknown)}) from unknown
        if len(entities) * len(known) > MOST_VALUES:
            raise InvalidError(
                "Too much is asked for at once",
                {
                    "features": f"{len(entities)} entities with {len(known)} features are more "
                    f"than {MOST_VALUES} values: ask in parts"
                },
            )
        try:
            found = await self._published.read(entities)
        except REDIS_AWAY as away:
            raise UnavailableError(
                "Redis, which holds the features, cannot be reached: try again"
            ) from away
        return read(catalogue, known, found, now)


def shown(catalogue: Catalogue) -> list[FeatureShown]:
    return [
        FeatureShown(
            name=name,
            kind=each.kind,
            type=each.type,
            unit=each.unit,
            low=each.low if math.isfinite(each.low) else None,
            high=each.high if math.isfinite(each.high) else None,
            ttl_seconds=catalogue.ttl_seconds(name),
            version=catalogue.versions[name],
            source=list(each.source),
            how=how(each),
            owner=each.owner,
            description=each.description,
        )
        for name, each in catalogue.by_name.items()
    ]


def how(definition: Definition) -> str:
    """Say in words how a feature is computed."""
    match definition.computed:
        case Expression(text=text):
            return text
        case Live(column=column, instead=instead):
            return f"{column} of the newest interval" + (
                f"; where it was not measured, of {' and '.join(instead)}" if instead else ""
            )
        case Window(column=column, statistic=statistic, quantile=quantile) as window:
            which = f"{statistic} {quantile:g}" if quantile else statistic
            return f"{which} of {column} over {window.seconds} s, every {window.step_seconds} s"
        case Calendar(function=function):
            return f"{function} of the entity's exchange or time zone, every minute"
        case Judged():
            return "what the streams of the entity's metrics said of the interval before"
        case baseline:
            return f"{baseline.measure} over {baseline.seconds} s, every {baseline.step_seconds} s"


def one(entity: str, found: Features) -> dict[str, Any]:
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


def many(query: VectorsQuery, found: Features) -> dict[str, Any]:
    """Write several entities' vectors as clients see them: rows or columns."""
    parts = {
        "values": found.values,
        "event_time": found.event_time,
        "known_time": found.known_time,
        "stale": found.stale,
    }
    if query.answer == "columns":
        turned = {word: np.ascontiguousarray(each.T) for word, each in parts.items()}
        columns = {
            name: {word: each[at] for word, each in turned.items()}
            for at, name in enumerate(found.names)
        }
        return {"entities": query.entities, "columns": columns}
    whole = {word: np.ascontiguousarray(each) for word, each in parts.items()}
    rows = [
        {"entity": entity, **{word: each[at] for word, each in whole.items()}}
        for at, entity in enumerate(query.entities)
    ]
    return {"features": found.names, "rows": rows}
