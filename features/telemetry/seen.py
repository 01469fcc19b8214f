"""Which entities telemetry is there of: since when, from whom, how often, and what is missing."""

from dataclasses import dataclass
from typing import Any

from features.telemetry.mappings import ended_columns, ended_params, not_ended
from features.telemetry.merged import known_by, moment
from features.telemetry.tables import METRICS, ColumnStore

DAY = 86_400

_MEASURED = ", ".join(f"uniqExactIf(ts, isFinite({name})) AS measured_{name}" for name in METRICS)

_ENTITIES = """
SELECT entity, sources, toUnixTimestamp(first) AS first, toUnixTimestamp(last) AS last, day.*
FROM (
    SELECT entity, min(ts) AS first, max(ts) AS last,
           arraySort(groupUniqArray(toString(source))) AS sources
    FROM measurements WHERE {where}
    GROUP BY entity
) AS whole
INNER JOIN (
    SELECT entity, arraySort(groupUniqArray(toUnixTimestamp(ts))) AS times,
           times[1] AS day_first,
           arrayReduce('medianExactLow', arrayPopFront(arrayDifference(times))) AS cadence,
           {measured}
    FROM measurements
    INNER JOIN (
        SELECT entity, max(ts) AS newest FROM measurements WHERE {where} GROUP BY entity
    ) AS ends USING entity
    WHERE {where} AND ts > newest - {day}
    GROUP BY entity
) AS day USING entity
ORDER BY entity
"""


@dataclass(frozen=True, slots=True)
class EntitySeen:
    """What there is of one entity."""

    entity: str
    first: int
    """Epoch seconds at which its first interval begins."""
    last: int
    """Epoch seconds at which its last interval begins."""
    sources: tuple[str, ...]
    cadence_seconds: int | None
    """How far its intervals mostly lie apart; None where there is but one."""
    missing: dict[str, float]
    """Share of its last day's intervals without a number, by metric; 1 where there is none."""


def entities(
    store: ColumnStore, since: int, *, known_until_ms: int | None = None
) -> list[EntitySeen]:
    """List the entities measured since then, by name."""
    ended = ended_columns(store, known_until_ms)
    where = f"ts >= toDateTime({{since:Int64}}){known_by(known_until_ms)}{not_ended(ended)}"
    sql = _ENTITIES.format(where=where, measured=_MEASURED, day=DAY)
    params = {"since": since} | moment(known_until_ms) | ended_params(ended)
    return [_entity(row) for row in store.query(sql, params)]


def _entity(row: dict[str, Any]) -> EntitySeen:
    cadence = int(row["cadence"]) or None
    expected = 1 if cadence is None else (int(row["last"]) - int(row["day_first"])) // cadence + 1
    return EntitySeen(
        entity=row["entity"],
        first=int(row["first"]),
        last=int(row["last"]),
        sources=tuple(row["sources"]),
        cadence_seconds=cadence,
        missing={name: max(0.0, 1 - row[f"measured_{name}"] / expected) for name in METRICS},
    )
