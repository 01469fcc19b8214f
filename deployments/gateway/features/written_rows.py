"""Rows of answers, kept as they were written for as long as they would be written the same again.

To write a row of fifty features takes longer than all else that a question for it needs. It follows
from the vector, the features that are asked for, and the moments at which values become stale.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import orjson

from features.vectors.reading import Features, Reading, Stored

MOST_BYTES = 32 * 1024 * 1024
# What was fresh at a moment is looked at again so much earlier than it becomes stale.
MARGIN_SECONDS = 0.001


class _Written(NamedTuple):
    stored: Stored
    row: bytes
    since: float
    until: float


class WrittenRows:
    """Writes answers by rows, and keeps those rows that were wanted last."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[Reading, str], _Written] = OrderedDict()

    def answer(
        self, reading: Reading, entities: Sequence[str], found: Sequence[Stored | None], now: float
    ) -> bytes:
        """Write the whole answer."""
        rows = [
            self._row(reading, entity, stored, now)
            for entity, stored in zip(entities, found, strict=True)
        ]
        missing = [at for at, row in enumerate(rows) if row is None]
        if missing:
            features = reading.read([found[at] for at in missing], now)
            new = zip(missing, _rows(features, [entities[at] for at in missing]), strict=True)
            for place, (at, row) in enumerate(new):
                rows[at] = row
                if (stored := found[at]) is not None:
                    until = float(features.stale_from[place]) - MARGIN_SECONDS
                    self._keep((reading, entities[at]), _Written(stored, row, now, until))
        head = b'{"features":%b,"rows":[' % orjson.dumps(reading.names)
        return b"%b%b]}" % (head, b",".join(row for row in rows if row is not None))

    def _row(
        self, reading: Reading, entity: str, stored: Stored | None, now: float
    ) -> bytes | None:
        kept = self._kept.get((reading, entity))
        same = kept is not None and kept.stored is stored and kept.since <= now < kept.until
        return kept.row if kept is not None and same else None

    def _keep(self, key: tuple[Reading, str], written: _Written) -> None:
        if (before := self._kept.pop(key, None)) is not None:
            self._bytes -= len(before.row)
        self._kept[key] = written
        self._bytes += len(written.row)
        while self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.row)


def _rows(features: Features, entities: Sequence[str]) -> Iterator[bytes]:
    """Write NaN as null, and arrays as lists."""
    parts = {
        "values": np.ascontiguousarray(features.values),
        "event_time": np.ascontiguousarray(features.event_time),
        "known_time": np.ascontiguousarray(features.known_time),
        "stale": np.ascontiguousarray(features.stale),
    }
    for at, entity in enumerate(entities):
        row = {"entity": entity, **{word: each[at] for word, each in parts.items()}}
        yield orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)
