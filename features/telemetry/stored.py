"""Telemetry read out of ClickHouse: for baselines, features, training and charts.

Every reader takes `known_until_ms`: it then answers as it would have at that moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from features.definitions.definition import HOUR, Window
from features.definitions.live import LIVE, PRESENT_SECONDS, TRAILING_DAYS
from features.rows import HOUR_RATE, FeatureRow
from features.telemetry.columns import COLUMNS, Telemetry, load_of
from features.telemetry.mappings import ended_columns, ended_params, not_ended
from features.telemetry.merged import (
    IN_ORDER,
    Scope,
    interval_rows,
    known_by,
    merged,
    moment,
    plain,
    scope_of,
)
from features.telemetry.rolling import rolling
from features.telemetry.tables import METRICS, ColumnStore

DAY = 86_400

_TRAINING = (
    *("load", "infra", "request_rate", "error_rate", "active_workers", "cpu"),
    *("p50_ms", "p95_ms", "p99_ms", "p999_ms", "exemplars"),
)
_STORED = tuple(each.name for each in COLUMNS if each.name not in {"ts", "entity"})
_LIVE = tuple(each.name for each in LIVE)
# A load that was not measured follows from the processor's.
_READ = (*_LIVE, "cpu", "queue_depth")

# As models learn them: the quantile is the inclusive one, which interpolates as numpy does; the
# rate is the one at which the median request arrived, so that nights hardly count. An interval that
# counts twice in a column shows itself, see merged.py.
_BASELINES = """
WITH arrayCumSum(risen) AS arrived
SELECT entity, baseline_ms, doubled,
       if(empty(risen), nan,
          arrayFirst((rate, so_far) -> so_far >= arrived[-1] / 2, risen, arrived)) AS baseline_rate
FROM (
    SELECT entity, quantileExactInclusiveIf(0.5)(p50_ms, isFinite(p50_ms)) AS baseline_ms,
           arraySort(groupArrayIf(request_rate, isFinite(request_rate))) AS risen,
           length(risen) > uniqExactIf(ts, isFinite(request_rate))
           OR countIf(isFinite(p50_ms)) > uniqExactIf(ts, isFinite(p50_ms)) AS doubled
    FROM ({rows})
    GROUP BY entity
)
"""
# An alias that bears a column's name would stand for the aggregate in the WHERE as well.
_LATEST = f"""
SELECT entity, toUnixTimestamp(max(ts)) AS at,
       toUnixTimestamp64Milli(tupleElement(max((ts, known)), 2)) AS known_ms,
       {", ".join(f"argMax({name}, ts) AS last_{name}" for name in _READ)},
       countEqual(groupArray(ts), max(ts)) > 1 AS doubled
FROM {{scope.rows}} WHERE {{scope.where}}
GROUP BY entity
"""  # noqa: S608 - the names come from this release's own definitions
_MERGED_LATEST = f"""
SELECT entity, toUnixTimestamp(ts) AS at,
       {", ".join(f"{name} AS last_{name}" for name in _READ)}
FROM ({{rows}})
"""  # noqa: S608 - see above

# One minute's rate differs from its hour's by chance: no fewer than these count.
_LEAST_SECONDS = 900
_RATE_SO_FAR = {HOUR_RATE: Window("request_rate", "mean", HOUR, _LEAST_SECONDS)}

_BASELINE_COLUMNS = ("p50_ms", "request_rate")


def newest(store: ColumnStore, *, known_until_ms: int | None = None) -> dict[str, int]:
    """Tell the last interval that is stored of each entity."""
    ended = ended_columns(store, known_until_ms)
    sql = (
        "SELECT entity, toUnixTimestamp(max(ts)) AS last FROM measurements"  # noqa: S608 - no text from outside
        f" WHERE true{known_by(known_until_ms)}{not_ended(ended)} GROUP BY entity"
    )
    found = store.query(sql, moment(known_until_ms) | ended_params(ended))
    return {row["entity"]: int(row["last"]) for row in found}


def baselines(
    store: ColumnStore,
    until: int,
    *,
    entities: Sequence[str] | None = None,
    known_until_ms: int | None = None,
) -> dict[str, dict[str, float]]:
    """Tell what is normal for each entity, from the trailing days; NaN where nothing says."""
    scope = scope_of(store, until - TRAILING_DAYS * DAY, until, entities, known_until_ms)
    rows = store.query(_BASELINES.format(rows=plain(_BASELINE_COLUMNS, scope)), scope.params)
    if any(row["doubled"] for row in rows):
        sql = _BASELINES.format(rows=merged(_BASELINE_COLUMNS, scope)) + IN_ORDER
        rows = store.query(sql, scope.params)
    return {
        row["entity"]: {
            "baseline_ms": float(row["baseline_ms"]),
            "baseline_rate": float(row["baseline_rate"]),
        }
        for row in rows
    }


class Newest(NamedTuple):
    """The newest interval of an entity: what it says, and when that was known."""

    at: int
    known_ms: int
    values: dict[str, float]

    def row(self, normal: Mapping[str, float]) -> FeatureRow:
        """Give what models read: the live values, and beside them what is normal."""
        live = {name: self.values[name] for name in _LIVE}
        return FeatureRow({**live, **normal}, float(self.at))


def newest_values(
    store: ColumnStore, entities: Sequence[str], now: int, *, known_until_ms: int | None = None
) -> dict[str, Newest]:
    """Read these entities' newest interval of the last day.

    What was not measured in it is NaN: an older number would pass for a present one.
    """
    scope = scope_of(store, now - PRESENT_SECONDS, now + 1, entities, known_until_ms)
    found = {row["entity"]: row for row in store.query(_LATEST.format(scope=scope), scope.params)}
    doubled = [entity for entity, row in found.items() if row["doubled"]]
    if doubled:
        at = {name: int(found[name]["at"]) for name in doubled}
        for entity, row in _merged_latest(store, at, scope).items():
            found[entity] = found[entity] | row
    return {
        entity: Newest(
            int(row["at"]),
            int(row["known_ms"]),
            _derived({name: float(row[f"last_{name}"]) for name in _READ}),
        )
        for entity, row in found.items()
    }


def rates_so_far(
    store: ColumnStore, entities: Sequence[str], now: int, *, known_until_ms: int | None = None
) -> dict[str, dict[str, float]]:
    """Tell these entities' mean rate of the hour so far, and of the last quarter at least.

    NaN where it was not measured.
    """
    since = min(now // HOUR * HOUR, now - _LEAST_SECONDS)
    return rolling(store, _RATE_SO_FAR, scope_of(store, since, now + 1, entities, known_until_ms))


def _merged_latest(
    store: ColumnStore, at: Mapping[str, int], scope: Scope
) -> dict[str, dict[str, Any]]:
    """Put together the rows of each entity's newest interval, which begins `at`."""
    times = at.values()
    within = replace(scope, since=min(times), until=max(times) + 1, entities=[*at])
    rows = store.query(_MERGED_LATEST.format(rows=merged(_READ, within)), within.params)
    return {row["entity"]: row for row in rows if int(row["at"]) == at[row["entity"]]}


def training_rows(
    store: ColumnStore, since: int, until: int, *, known_until_ms: int | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Give the intervals that models learn from, as columns."""
    scope = scope_of(store, since, until, known_until_ms=known_until_ms)
    columns = interval_rows(store, _TRAINING, scope)
    columns["load"] = load_of(columns["load"], columns["cpu"], columns["active_workers"])
    return columns


def metric(
    store: ColumnStore,
    entity: str,
    name: str,
    since: int,
    until: int,
    *,
    known_until_ms: int | None = None,
) -> npt.NDArray[np.float64]:
    """Give one metric of an entity by the interval, oldest first."""
    return timed_metric(store, entity, name, since, until, known_until_ms=known_until_ms)[1]


def timed_metric(
    store: ColumnStore,
    entity: str,
    name: str,
    since: int,
    until: int,
    *,
    known_until_ms: int | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Give when each interval begins, and one metric of an entity in it, oldest first."""
    if name not in METRICS:
        raise LookupError(f"there is no metric {name!r}; the metrics are: {', '.join(METRICS)}")
    scope = scope_of(store, since, until, (entity,), known_until_ms)
    rows = interval_rows(store, (name,), scope)
    return rows["ts"], np.asarray(rows[name], dtype=np.float64)


def between(
    store: ColumnStore,
    since: int,
    until: int,
    *,
    entities: Sequence[str] | None = None,
    known_until_ms: int | None = None,
) -> Telemetry:
    """Give all that is stored of [since, until), by entity and time."""
    scope = scope_of(store, since, until, entities, known_until_ms)
    columns = interval_rows(store, _STORED, scope)
    columns |= {name: columns[name].astype(np.int8) for name in ("regime", "deploy")}
    columns |= {name: columns[name].astype(str) for name in ("session", "incident")}
    return Telemetry(**columns)


def _derived(read: Mapping[str, float]) -> dict[str, float]:
    """Put in what follows from other columns, where it was not measured itself."""
    load, cpu, workers = (np.array([read[name]]) for name in ("load", "cpu", "active_workers"))
    derived = {"load": float(load_of(load, cpu, workers)[0])}
    return {**read, **derived}
