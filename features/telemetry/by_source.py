"""What is stored of each source: how far it reaches, and how to be rid of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.telemetry.tables import METRICS, ColumnStore

_EXTENT = """
SELECT count() AS rows, toUnixTimestamp(min(ts)) AS oldest, toUnixTimestamp(max(ts)) AS newest
FROM measurements
WHERE source = {source:String} AND known >= fromUnixTimestamp64Milli({known_from_ms:Int64}, 'UTC')
"""
_PRESENT = "SELECT source, count() AS rows FROM measurements GROUP BY source ORDER BY source"
_NEWEST_OF_EACH = """
SELECT entity, toUnixTimestamp(max(ts)) AS newest
FROM measurements WHERE source = {source:String} GROUP BY entity
"""
_OF_NONE_BUT = """
SELECT entity, groupUniqArray(toString(source)) AS sources
FROM measurements WHERE ts >= toDateTime({since:Int64})
GROUP BY entity
HAVING has(sources, {source:String}) AND NOT hasAny(sources, {others:Array(String)})
ORDER BY entity
"""
_MEASURED_METRICS = f"""
SELECT entity, toString(source) AS owner,
       {", ".join(f"countIf(isFinite({name})) AS measured_{name}" for name in METRICS)}
FROM measurements
WHERE source IN {{sources:Array(String)}} AND entity IN {{entities:Array(String)}}
      AND ts >= toDateTime({{since:Int64}})
GROUP BY entity, owner ORDER BY entity, owner
"""  # noqa: S608 - names of COLUMNS
_MEASURED_BY = f"""
SELECT entity, toUnixTimestamp(ts) AS at, {", ".join(METRICS)}
FROM measurements
WHERE source = {{source:String}}
      AND ts >= toDateTime({{since:Int64}}) AND ts < toDateTime({{until:Int64}})
      AND known >= fromUnixTimestamp64Milli({{known_from_ms:Int64}}, 'UTC')
ORDER BY entity, ts, known DESC LIMIT 1 BY entity, ts
"""  # noqa: S608 - names of COLUMNS
_PARTITIONS = """
SELECT DISTINCT _partition_id AS id FROM measurements WHERE source = {source:String}
"""


class Extent(NamedTuple):
    oldest: int
    """Epoch seconds at which the first interval begins."""
    newest: int
    """Epoch seconds at which the last interval begins."""
    rows: int
    """How many rows; an interval may have several."""


def extent(store: ColumnStore, source: str, known_from_ms: int = 0) -> Extent | None:
    """Tell which intervals a source has given, from the first to the last; None without any.

    Of those that are known since a moment, where one is given.
    """
    (found,) = store.query(_EXTENT, {"source": source, "known_from_ms": known_from_ms})
    if not found["rows"]:
        return None
    return Extent(int(found["oldest"]), int(found["newest"]), int(found["rows"]))


def newest_of_each(store: ColumnStore, source: str) -> dict[str, int]:
    """Tell at which second the last interval begins that a source gave of each entity."""
    found = store.query(_NEWEST_OF_EACH, {"source": source})
    return {row["entity"]: int(row["newest"]) for row in found}


def entities_of_none_but(
    store: ColumnStore, source: str, others: Sequence[str], since: int
) -> list[str]:
    """List the entities that a source has measured since then, and none of these others has."""
    params = {"source": source, "others": list(others), "since": since}
    return [row["entity"] for row in store.query(_OF_NONE_BUT, params)]


def measured_metrics(
    store: ColumnStore, sources: Sequence[str], entities: Sequence[str], since: int
) -> dict[str, dict[str, str]]:
    """Tell which metrics of these entities some of the sources measured since then, and which."""
    params = {"sources": list(sources), "entities": list(entities), "since": since}
    found: dict[str, dict[str, str]] = {}
    for row in store.query(_MEASURED_METRICS, params):
        owned = found.setdefault(row["entity"], {})
        owned |= {name: row["owner"] for name in METRICS if row[f"measured_{name}"]}
    return found


def sources_present(store: ColumnStore) -> dict[str, int]:
    """Count the rows of each source of which there is anything."""
    return {row["source"]: int(row["rows"]) for row in store.query(_PRESENT)}


def forget_source(store: ColumnStore, source: str) -> None:
    """Drop all that a source ever gave; it is gone when this returns.

    What was published of its entities cannot be computed again then, and is no longer noted.
    """
    for partition in store.query(_PARTITIONS, {"source": source}):
        # A name of the engine's own, and it cannot be bound as a value.
        store.execute(
            "ALTER TABLE publications DELETE WHERE entity IN (SELECT entity FROM measurements"  # noqa: S608 - see above
            f" WHERE _partition_id = '{partition['id']}') SETTINGS mutations_sync = 1"
        )
        store.execute(f"ALTER TABLE measurements DROP PARTITION ID '{partition['id']}'")


def measured_by(
    store: ColumnStore, source: str, since: int, until: int, known_from_ms: int
) -> dict[str, NDArray[Any]]:
    """Give what a source measured of [since, until), a row an entity and interval, as columns."""
    params = {"source": source, "since": since, "until": until, "known_from_ms": known_from_ms}
    found = store.columns(_MEASURED_BY, params)
    return {
        "entity": found["entity"].astype(str),
        "at": found["at"].astype(np.int64),
    } | {name: found[name].astype(np.float64) for name in METRICS}
