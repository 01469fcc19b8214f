"""Every entity's online offset, as a family's replica applies it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from redis.asyncio import Redis

from deployments.runtime.batch import FloatArray
from deployments.runtime.coverage.handler import bounded
from deployments.runtime.coverage.outcomes import key_of, offsets_key
from models.elementwise import exp
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


class Widened(NamedTuple):
    lower: FloatArray
    upper: FloatArray
    # What the answer says of each row's interval; None for entities without outcomes.
    records: list[dict[str, Any] | None]


class OnlineOffsets:
    """A family's part of the table in Redis, read again every second."""

    def __init__(self, redis: Redis, family: str) -> None:
        self._redis = redis
        self._family = family
        self._prefix = key_of(family, "")
        self._records: dict[str, dict[str, Any]] = {}
        self._damaged = frozenset[str]()

    async def refresh(self) -> None:
        """Read the table; while Redis is away the last one goes on.

        A record that cannot be read is left out, and its entity has no offset.
        """
        try:
            found: Any = await self._redis.hgetall(offsets_key(self._redis))
        except REDIS_AWAY as away:
            log.info(
                "The coverage offsets could not be read, and the last ones stay in use: %s",
                type(away).__name__,
            )
            return
        readable, damaged = dict[str, dict[str, Any]](), dict[str, Exception]()
        for key, value in found.items():
            entity = key.decode(errors="backslashreplace")
            if not entity.startswith(self._prefix):
                continue
            entity = entity.removeprefix(self._prefix)
            try:
                readable[entity] = _record(value)
            except (ValueError, TypeError, KeyError, OverflowError) as why:
                damaged[entity] = why
        self.take(readable)
        self._report(damaged)

    def take(self, records: dict[str, dict[str, Any]]) -> None:
        """Go by these from now on."""
        self._records = records

    def _report(self, damaged: Mapping[str, Exception]) -> None:
        """Log what cannot be read, and once: the table is read every second."""
        for entity in damaged.keys() - self._damaged:
            log.warning(
                "The coverage offset of %s for %r cannot be read: %r",
                self._family,
                entity,
                damaged[entity],
            )
        self._damaged = frozenset(damaged)

    def __bool__(self) -> bool:
        return bool(self._records)

    def mean_coverage(self) -> float | None:
        """Say which share of all outcomes was held."""
        counted = [each for each in self._records.values() if each["outcomes"]]
        if not counted:
            return None
        held = sum(each["coverage"] * each["outcomes"] for each in counted)
        return float(held / sum(each["outcomes"] for each in counted))

    def offsets(self, entities: Sequence[str]) -> FloatArray:
        records = self._records
        return np.array([records[each]["offset"] if each in records else 0.0 for each in entities])

    def widen(self, entities: Sequence[str], lower: FloatArray, upper: FloatArray) -> Widened:
        """Move both ends out by each entity's factor; rows (n,) or rows by hours (n, h)."""
        offsets = self.offsets(entities)
        shaped = offsets if lower.ndim == 1 else offsets[:, None]
        return Widened(*moved(lower, upper, shaped), self.records(entities))

    def records(self, entities: Sequence[str]) -> list[dict[str, Any] | None]:
        return [self._records.get(entity) for entity in entities]


def moved(
    lower: FloatArray, upper: FloatArray, offsets: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Move both ends out by factors, which are logarithms.

    A negative one draws them in: ends that would cross meet in the middle of their logarithms.
    """
    # Where nothing is to be moved the bits stay: exp(0) is 1.
    low, high = lower * exp(-offsets), upper * exp(offsets)
    if (offsets < 0).any():
        drawn_in, middle = offsets < 0, np.sqrt(lower * upper)
        low = np.where(drawn_in, np.minimum(low, middle), low)
        high = np.where(drawn_in, np.maximum(high, middle), high)
    return low, high


def _record(written: bytes) -> dict[str, Any]:
    """Read an entity's record; earlier releases wrote offsets of any size, or null."""
    record: dict[str, Any] = orjson.loads(written)
    if record["outcomes"]:  # before the first one there is no coverage
        record["coverage"] = float(record["coverage"])
    record["offset"] = bounded(float(record["offset"] or 0.0))
    return record | {"outcomes": int(record["outcomes"])}
