"""Stored rows of entities with the stretch of time for which each number was the latest known.

A number counts at a moment when it was known by then and no later one of the same interval was. So
every row of the past is read once, and any moment of it is answered from the same arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from features.telemetry.merged import Scope
from features.telemetry.tables import ColumnStore

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
# As `merged` ranks them: of one interval by known time, then the source's name, then the content.
_ORDER = "entity, ts, known, source, content"


@dataclass(frozen=True, slots=True)
class EntityRows:
    """The rows of one entity by interval, and of each interval in the order of their rank."""

    ts: Ints
    known_ms: Ints
    columns: dict[str, Floats]
    until_ms: dict[str, Ints | None]
    """By column: since when a later number stands for this one; None where none ever does.

    NaN stands for nothing: it is passed over, and never stands in a number's place.
    """


def read_rows(
    store: ColumnStore, columns: Sequence[str], scope: Scope
) -> Iterator[tuple[str, EntityRows]]:
    """Read the rows of the scope's entities, which are sorted; each entity by itself."""
    entities = scope.entities or ()
    chosen = "".join(f", {name}" for name in columns)
    sql = (
        "SELECT toInt64(indexOf({entities:Array(String)}, entity)) - 1 AS who,"  # noqa: S608 - names of COLUMNS
        f" toUnixTimestamp(ts) AS at, toUnixTimestamp64Milli(known) AS known_ms{chosen}"
        f" FROM {scope.rows} WHERE {scope.where} ORDER BY {_ORDER}"
    )
    found = store.columns(sql, scope.params)
    who, ts = found["who"].astype(np.int64), found["at"].astype(np.int64)
    known = found["known_ms"].astype(np.int64)
    until = _superseded(who, ts, known, {name: found[name] for name in columns})
    ends = np.searchsorted(who, np.arange(len(entities) + 1))
    for at, entity in enumerate(entities):
        mine = slice(ends[at], ends[at + 1])
        yield (
            entity,
            EntityRows(
                ts[mine],
                known[mine],
                {name: found[name][mine] for name in columns},
                {name: None if each is None else each[mine] for name, each in until.items()},
            ),
        )


def _superseded(
    who: Ints, ts: Ints, known: Ints, columns: dict[str, Floats]
) -> dict[str, Ints | None]:
    doubled = (ts[1:] == ts[:-1]) & (who[1:] == who[:-1])
    if not doubled.any():
        return dict.fromkeys(columns)
    return {name: _until(who, ts, known, values) for name, values in columns.items()}


def _until(who: Ints, ts: Ints, known: Ints, values: Floats) -> Ints:
    """Give the moment at which the next number of the same interval was known."""
    measured = np.flatnonzero(~np.isnan(values))
    before, after = measured[:-1], measured[1:]
    same = (ts[before] == ts[after]) & (who[before] == who[after])
    until = np.full(len(ts), NEVER)
    until[before[same]] = known[after[same]]
    return until
