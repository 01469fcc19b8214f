"""One row an interval, out of the rows that sources gave of it.

Each column takes its latest known number, whichever row has it: sources may give different metrics
of one interval, and correct each other. Of two known in the same millisecond the source decides
whose name sorts last.

Most intervals have one row, and merging costs four times what plain reading does. So readers read
plainly first, and merge where the answer itself shows an interval twice; both are one statement
each, so that no insert comes between the look and the reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.telemetry.columns import EXEMPLARS
from features.telemetry.mappings import (
    Ended,
    ended_columns,
    ended_params,
    not_ended,
    rows_without,
)
from features.telemetry.tables import METRICS, ColumnStore

IN_ORDER = "SETTINGS optimize_aggregation_in_order = 1"
"""Ends a statement that merges: the engine then holds a few intervals at a time, not all."""

# Moment, place of the source's name and content in one number, for the engine compares numbers
# several times faster than tuples. Sources are counted where the rows are read, not in all of them.
_RANK = (
    "bitOr(bitShiftLeft(toUInt128(toUnixTimestamp64Milli(known) * 65536 + indexOf((SELECT"
    " arraySort(groupUniqArray(toString(source))) FROM measurements WHERE {scope.where}),"
    " toString(source))), 64), toUInt128(content))"
)
_LATEST = {
    **{
        name: f"ifNull(argMaxOrNullIf(raw_{name}, rank, isFinite(raw_{name})), nan)"
        for name in METRICS
    },
    "exemplars": "argMaxIf(raw_exemplars, rank, notEmpty(raw_exemplars))",
    "session": "argMaxIf(raw_session, rank, notEmpty(raw_session))",
    "regime": "argMaxIf(raw_regime, rank, raw_regime != 0)",
    "deploy": "max(raw_deploy)",
    "incident": "argMaxIf(raw_incident, rank, notEmpty(raw_incident))",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which measurements are read: intervals that begin in [since, until), epoch seconds."""

    since: int
    until: int
    entities: Sequence[str] | None = None
    known_until_ms: int | None = None
    """Read what was known then, and of intervals that had begun."""
    ended: tuple[Ended, ...] = ()
    """What answered by a mapping that is no longer in force then."""

    @property
    def rows(self) -> str:
        return rows_without(self.ended)

    @property
    def where(self) -> str:
        conditions = [
            "ts >= toDateTime({since:Int64})",
            "ts < toDateTime({until:Int64})",
        ]
        if self.entities is not None:
            conditions.append("entity IN {entities:Array(String)}")
        return " AND ".join(conditions) + known_by(self.known_until_ms) + not_ended(self.ended)

    @property
    def params(self) -> dict[str, Any]:
        found: dict[str, Any] = {"since": self.since, "until": self.until}
        if self.entities is not None:
            found["entities"] = list(self.entities)
        return found | moment(self.known_until_ms) | ended_params(self.ended)


def scope_of(
    store: ColumnStore,
    since: int,
    until: int,
    entities: Sequence[str] | None = None,
    known_until_ms: int | None = None,
) -> Scope:
    """Give a scope in which each source answers by its mapping, or the one of that moment."""
    return Scope(since, until, entities, known_until_ms, ended_columns(store, known_until_ms))


def known_by(until_ms: int | None) -> str:
    """Give the condition that leaves out what was not known yet."""
    if until_ms is None:
        return ""
    return (
        " AND known <= fromUnixTimestamp64Milli({known_until_ms:Int64}, 'UTC')"
        " AND ts <= toDateTime(intDiv({known_until_ms:Int64}, 1000))"
    )


def moment(until_ms: int | None) -> dict[str, Any]:
    """Give the value that `known` speaks of."""
    return {} if until_ms is None else {"known_until_ms": until_ms}


def plain(names: Iterable[str], scope: Scope) -> str:
    """Select these columns of every row."""
    return f"SELECT entity, ts, {', '.join(names)} FROM {scope.rows} WHERE {scope.where}"  # noqa: S608 - names of COLUMNS


def merged(names: Sequence[str], scope: Scope) -> str:
    """Select these columns of every interval, each with its latest known number."""
    # Under other names: an alias that bears a column's name would stand for it in the aggregates.
    raw = ", ".join(f"{name} AS raw_{name}" for name in names)
    latest = ", ".join(f"{_LATEST[name]} AS {name}" for name in names)
    rank = _RANK.format(scope=scope)
    return (
        f"SELECT entity, ts, {latest} FROM ("  # noqa: S608 - names of COLUMNS
        f"SELECT entity, ts, {rank} AS rank, {raw} FROM {scope.rows} WHERE {scope.where}"
        ") GROUP BY entity, ts"
    )


def interval_rows(
    store: ColumnStore, names: Sequence[str], scope: Scope
) -> dict[str, npt.NDArray[Any]]:
    """Read one row an interval, by entity and time: `ts`, `entity`, and the columns named."""
    rows = _read(store, plain(names, scope), names, scope, "")
    if _is_doubled(rows):
        rows = _read(store, merged(names, scope), names, scope, IN_ORDER)
    return rows


def _read(
    store: ColumnStore, rows: str, names: Sequence[str], scope: Scope, settings: str
) -> dict[str, npt.NDArray[Any]]:
    chosen = ", ".join(_filled(name) for name in names)
    sql = (
        f"SELECT toUnixTimestamp(ts) AS at, entity, {chosen} FROM ({rows})"  # noqa: S608 - see above
        f" ORDER BY entity, ts {settings}"
    )
    found = store.columns(sql, scope.params)
    columns = {
        "ts": found["at"].astype(np.int64),  # as Telemetry has it: differences stay signed
        "entity": found["entity"].astype(str),
    } | {name: found[name] for name in names if name != "exemplars"}
    if "exemplars" in names:
        columns["exemplars"] = _matrix(found["all_exemplars"])
    return columns


def _filled(name: str) -> str:
    """Fill what was not sampled with NaN, so that all lists are equally long."""
    if name != "exemplars":
        return name
    return f"arrayResize(exemplars, {EXEMPLARS}, toFloat32(nan)) AS all_exemplars"


def _matrix(exemplars: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(exemplars, dtype=np.float64).reshape(-1, EXEMPLARS)


def _is_doubled(rows: Mapping[str, npt.NDArray[Any]]) -> bool:
    same = (rows["ts"][1:] == rows["ts"][:-1]) & (rows["entity"][1:] == rows["entity"][:-1])
    return bool(same.any())
