"""Every entity's online offset, as a family's replica applies it."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from redis.asyncio import Redis

from deployments.runtime.batch import FloatArray
from deployments.runtime.coverage.handler import bounded
from deployments.runtime.coverage.offsets_table import OffsetsTable
from models.elementwise import exp
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)


class Widened(NamedTuple):
    lower: FloatArray
    upper: FloatArray
    # What the answer says of each row's interval; None for entities without outcomes.
    records: list[dict[str, Any] | None]


# What was forgotten, and what a release wrote that keeps no order, is found by reading all again.
ALL_AFTER_REFRESHES = 60


class OnlineOffsets:
    """A family's part of the table in Redis, of which is read every second what has changed."""

    def __init__(self, redis: Redis, family: str) -> None:
        self._table = OffsetsTable(redis, family)
        self._turn = 0.0
        self._refreshes = 0
        self._records: dict[str, dict[str, Any]] = {}
        self._damaged = frozenset[str]()

    async def refresh(self) -> None:
        """Read what has changed; while Redis is away what was read last goes on.

        A record that cannot be read is left out, and its entity has no offset.
        """
        try:
            await self._read()
        except REDIS_AWAY as away:
            log.info(
                "The coverage offsets could not be read, and the last ones stay in use: %s",
                type(away).__name__,
            )
            return

    async def _read(self) -> None:
        turn = await self._table.turn()
        # A Redis that was emptied, or came back without its latest, begins again further down.
        if self._refreshes % ALL_AFTER_REFRESHES == 0 or turn < self._turn:
            await self._read_all()
            self._turn = turn
        elif turn > self._turn:
            await self._read_changed()
        self._refreshes += 1

    async def _read_all(self) -> None:
        records, damaged = dict[str, dict[str, Any]](), dict[str, Exception]()
        async for name, written in self._table.all():
            _parse(name, written, records, damaged)
        self.take(records)
        self._report(damaged, ())

    async def _read_changed(self) -> None:
        changed = await self._table.changed(self._turn)
        records, damaged = dict[str, dict[str, Any]](), dict[str, Exception]()
        for name, written in changed.records.items():
            if written is not None:  # it was forgotten meanwhile
                _parse(name, written, records, damaged)
        entities = {_text(name) for name in changed.records}
        for entity in entities:
            self._records.pop(entity, None)
        self._records.update(records)
        self._report(damaged, self._damaged - entities)
        self._turn = changed.turn

    def take(self, records: dict[str, dict[str, Any]]) -> None:
        """Go by these from now on."""
        self._records = records

    def _report(self, damaged: Mapping[str, Exception], still: Iterable[str]) -> None:
        """Log what cannot be read, and once: the table is read every second."""
        for entity in damaged.keys() - self._damaged:
            log.warning(
                "The coverage offset of %s for %r cannot be read: %r",
                self._table.family,
                entity,
                damaged[entity],
            )
        self._damaged = frozenset(damaged).union(still)

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


def _parse(
    name: bytes, written: bytes, records: dict[str, dict[str, Any]], damaged: dict[str, Exception]
) -> None:
    entity = _text(name)
    try:
        records[entity] = _record(written)
    except (ValueError, TypeError, KeyError, OverflowError) as why:
        damaged[entity] = why


def _text(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _record(written: bytes) -> dict[str, Any]:
    """Read an entity's record; earlier releases wrote offsets of any size, or null."""
    record: dict[str, Any] = orjson.loads(written)
    if record["outcomes"]:  # before the first one there is no coverage
        record["coverage"] = float(record["coverage"])
    record["offset"] = bounded(float(record["offset"] or 0.0))
    return record | {"outcomes": int(record["outcomes"])}
