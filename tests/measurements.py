"""Measurements of several sources made up row by row, and a second way to put them together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from features.rows import FeatureRow
from features.telemetry.columns import COLUMNS, EXEMPLARS, Telemetry
from features.telemetry.stored import newest_values
from features.telemetry.tables import METRICS, ColumnStore

Values = Mapping[str, Any]
Key = tuple[str, int]
"""An entity, and the epoch second at which an interval begins."""

_MISSING: dict[str, Any] = {
    **dict.fromkeys(METRICS, np.nan),
    "exemplars": np.full(EXEMPLARS, np.nan),
    "session": "",
    "regime": 0,
    "deploy": 0,
    "incident": "",
}
_KINDS = {"f": np.float64, "i": np.int64, "b": np.int8, "U": np.str_}


class Given(NamedTuple):
    """What a source gave at once."""

    source: str
    known_ms: int
    rows: dict[Key, Values]


def latest(
    store: ColumnStore,
    entities: Sequence[str],
    normal: Mapping[str, dict[str, float]],
    now: int,
    **when: int | None,
) -> dict[str, FeatureRow]:
    """Give the rows that models read, with what is normal as it is given."""
    found = newest_values(store, entities, now, **when)
    return {entity: newest.row(normal.get(entity, {})) for entity, newest in found.items()}


def telemetry_of(rows: Mapping[Key, Values]) -> Telemetry:
    """Write rows as columns, by entity and time; what a row does not name is missing."""
    if not rows:
        return Telemetry.empty()
    whole = [
        {**_MISSING, **rows[entity, ts], "entity": entity, "ts": ts} for entity, ts in sorted(rows)
    ]
    return Telemetry(
        **{
            each.name: np.array([row[each.name] for row in whole], dtype=_KINDS[each.kind])
            for each in COLUMNS
        }
    )


def put_together(given: Iterable[Given], known_until_ms: int | None = None) -> Telemetry:
    """Let later rows overwrite earlier ones, value by value; of equal times the later name."""
    found: dict[Key, dict[str, Any]] = {}
    for _source, known_ms, rows in sorted(given, key=lambda each: (each.known_ms, each.source)):
        for (entity, ts), values in rows.items():
            late = known_until_ms is not None and max(known_ms, ts * 1000) > known_until_ms
            if not late:
                _overwrite(found.setdefault((entity, ts), {}), values)
    return telemetry_of(found)


def _overwrite(kept: dict[str, Any], values: Values) -> None:
    for name, value in values.items():
        if name in METRICS:
            measured = np.isfinite(value)
        elif name == "exemplars":
            measured = not np.isnan(value).all()
        else:
            measured = bool(value)
        if measured:
            kept[name] = value
