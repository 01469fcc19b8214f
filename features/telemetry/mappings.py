"""By which mapping a source measures since when, and which numbers of earlier ones have ended.

A number that was measured by a rule that is corrected or gone does not answer any more. Its row is
kept, so that a reader of an earlier moment still finds what was known then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.telemetry.columns import COLUMNS
from features.telemetry.tables import METRICS, ColumnStore

WHOLE = "*"
"""Stands for all that the earlier mapping gave: its rows themselves have ended."""

_IN_FORCE = """
SELECT mapping, toUnixTimestamp64Milli(known) AS known_ms
FROM measurement_mappings WHERE source = {source:String} ORDER BY known DESC LIMIT 1
"""
_ENDED = """
SELECT source, column, toUnixTimestamp64Milli(max(known)) AS before_ms
FROM measurement_mappings ARRAY JOIN splitByChar(',', ended) AS column
WHERE ended != '' AND known <= fromUnixTimestamp64Milli({known_until_ms:Int64}, 'UTC')
GROUP BY source, column ORDER BY source, column
"""
_ENDINGS = """
SELECT DISTINCT toUnixTimestamp64Milli(known) AS known_ms
FROM measurement_mappings
WHERE ended != '' AND known > fromUnixTimestamp64Milli({after_ms:Int64}, 'UTC')
      AND known <= fromUnixTimestamp64Milli({until_ms:Int64}, 'UTC')
ORDER BY known_ms
"""
# The year 2286: later ones the engine's times do not hold.
_ALWAYS = 10**13
_ENDS = {"deploy": "0", "exemplars": "[]"} | dict.fromkeys(METRICS, "nan")
_NAMES = frozenset(each.name for each in COLUMNS)


@dataclass(frozen=True, slots=True)
class ActiveMapping:
    """The mapping that a source measures by."""

    mapping: str
    since_ms: int
    """Its rows are known since then or later; 0 where there was none before it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a source gave of a column before a moment does not answer."""

    source: str
    column: str
    before_ms: int


def endings(store: ColumnStore, after_ms: int, until_ms: int) -> list[int]:
    """Give the moments, after one and up to another, at which numbers of a mapping ended."""
    params = {"after_ms": after_ms, "until_ms": until_ms}
    return [int(row["known_ms"]) for row in store.query(_ENDINGS, params)]


def mapping_in_force(store: ColumnStore, source: str) -> ActiveMapping | None:
    """Tell by which mapping a source measures; None where none was noted."""
    found = store.query(_IN_FORCE, {"source": source})
    return ActiveMapping(found[0]["mapping"], int(found[0]["known_ms"])) if found else None


def note_mapping(
    store: ColumnStore, source: str, mapping: str, *, since_ms: int, ended: Sequence[str] = ()
) -> None:
    """Note a mapping, and which columns of the one before it end."""
    if unknown := set(ended) - _ENDS.keys() - {WHOLE}:
        raise ValueError(f"no column of measurements ends by these names: {sorted(unknown)}")
    columns: dict[str, Any] = {
        "source": np.array([source]),
        "known": np.array([since_ms]).astype("datetime64[ms]"),
        "mapping": np.array([mapping]),
        "ended": np.array([",".join(ended)]),
    }
    store.insert("measurement_mappings", columns)


def ended_columns(store: ColumnStore, known_until_ms: int | None = None) -> tuple[Ended, ...]:
    """List what has ended, or had at a moment."""
    until = _ALWAYS if known_until_ms is None else known_until_ms
    return tuple(
        Ended(row["source"], row["column"], int(row["before_ms"]))
        for row in store.query(_ENDED, {"known_until_ms": until})
    )


def rows_without(ended: Sequence[Ended]) -> str:
    """Name the table of measurements, or what stands for it where numbers of it have ended."""
    conditions: dict[str, list[str]] = {}
    for at, each in enumerate(ended):
        if each.column in _NAMES:
            conditions.setdefault(each.column, []).append(_condition(at))
    if not conditions:
        return "measurements"
    replaced = ", ".join(
        f"if({' OR '.join(all_)}, {_ENDS[name]}, {name}) AS {name}"
        for name, all_ in conditions.items()
    )
    return f"(SELECT * REPLACE ({replaced}) FROM measurements)"  # noqa: S608 - names of COLUMNS


def not_ended(ended: Sequence[Ended]) -> str:
    """Give the condition that leaves out rows that have ended as a whole."""
    whole = [_condition(at) for at, each in enumerate(ended) if each.column == WHOLE]
    return "".join(f" AND NOT {each}" for each in whole)


def ended_params(ended: Sequence[Ended]) -> dict[str, Any]:
    """Give the values that these conditions speak of."""
    sources: dict[str, Any] = {f"ended_source_{at}": each.source for at, each in enumerate(ended)}
    return sources | {f"ended_before_{at}": each.before_ms for at, each in enumerate(ended)}


def _condition(at: int) -> str:
    return (
        f"(source = {{ended_source_{at}:String}}"
        f" AND known < fromUnixTimestamp64Milli({{ended_before_{at}:Int64}}, 'UTC'))"
    )
