"""What is stored of each source: how far it reaches, and how to be rid of it."""

from typing import NamedTuple

from features.telemetry.tables import ColumnStore

_EXTENT = """
SELECT count() AS rows, toUnixTimestamp(min(ts)) AS oldest, toUnixTimestamp(max(ts)) AS newest
FROM measurements WHERE source = {source:String}
"""
_PRESENT = "SELECT source, count() AS rows FROM measurements GROUP BY source ORDER BY source"
_NEWEST_OF_EACH = """
SELECT entity, toUnixTimestamp(max(ts)) AS newest
FROM measurements WHERE source = {source:String} GROUP BY entity
"""
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


def extent(store: ColumnStore, source: str) -> Extent | None:
    """Tell which intervals a source has given, from the first to the last; None without any."""
    (found,) = store.query(_EXTENT, {"source": source})
    if not found["rows"]:
        return None
    return Extent(int(found["oldest"]), int(found["newest"]), int(found["rows"]))


def newest_of_each(store: ColumnStore, source: str) -> dict[str, int]:
    """Tell at which second the last interval begins that a source gave of each entity."""
    found = store.query(_NEWEST_OF_EACH, {"source": source})
    return {row["entity"]: int(row["newest"]) for row in found}


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
