"""Telemetry in ClickHouse: appended by the minute, read for baselines, features and training."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from features.definitions import LIVE, TRAILING_DAYS
from features.rows import FeatureRow
from features.telemetry.columns import COLUMNS, Telemetry
from features.telemetry.derive import load_of

DAY = 86_400

# An alias that bears a column's name would stand for the aggregate in the WHERE as well.
_READ = (*(each.name for each in LIVE), "cpu")  # a load that was not measured follows from it
_LIVE = ", ".join(f"argMax({name}, ts) AS last_{name}" for name in _READ)

# As models learn them: the quantile is the inclusive one, which interpolates as numpy does; the
# rate is the one at which the median request arrived, so that nights hardly count. FINAL, for a
# minute may have been stored twice.
_BASELINES = """
WITH arrayCumSum(risen) AS arrived
SELECT entity, baseline_ms,
       arrayFirst((rate, so_far) -> so_far >= arrived[-1] / 2, risen, arrived) AS baseline_rate
FROM (
    SELECT entity, quantileExactInclusiveIf(0.5)(p50_ms, isFinite(p50_ms)) AS baseline_ms,
           arraySort(groupArrayIf(request_rate, isFinite(request_rate))) AS risen
    FROM telemetry FINAL
    WHERE ts >= toDateTime({since:Int64}) AND ts < toDateTime({until:Int64})
    GROUP BY entity
)
"""

_LATEST = f"""
SELECT entity, toUnixTimestamp(max(ts)) AS last_ts, {_LIVE}
FROM telemetry WHERE entity IN {{entities:Array(String)}} AND ts >= toDateTime({{since:Int64}})
GROUP BY entity
"""  # noqa: S608 - the names come from this release's own definitions

_NEWEST = "SELECT entity, toUnixTimestamp(max(ts)) AS ts FROM telemetry GROUP BY entity"

_TRAINING = """
SELECT toUnixTimestamp(ts) AS ts, entity, load, infra, request_rate, error_rate, active_workers,
       cpu, p50_ms, p95_ms, p99_ms, p999_ms, exemplars
FROM telemetry FINAL
WHERE ts >= toDateTime({since:Int64}) AND ts < toDateTime({until:Int64})
ORDER BY entity, ts
"""

# Only a name of METRICS is ever put in.
_METRIC = """
SELECT {name} AS value FROM telemetry FINAL
WHERE entity = {{entity:String}} AND ts >= toDateTime({{since:Int64}})
  AND ts < toDateTime({{until:Int64}})
ORDER BY ts
"""
METRICS = tuple(each.name for each in COLUMNS if each.kind == "f" and each.name != "exemplars")


class ColumnStore(Protocol):
    """The little of ClickHouse that this source asks for."""

    def query(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]: ...

    def columns(
        self, sql: str, params: Mapping[str, Any] | None = None
    ) -> Mapping[str, npt.NDArray[Any]]: ...

    def insert(self, table: str, columns: Mapping[str, npt.NDArray[Any]]) -> None: ...


def append(store: ColumnStore, telemetry: Telemetry) -> None:
    store.insert("telemetry", telemetry.columns())


def newest(store: ColumnStore) -> dict[str, int]:
    """Tell the last minute that is stored of each entity."""
    return {row["entity"]: int(row["ts"]) for row in store.query(_NEWEST)}


def baselines(store: ColumnStore, until: int) -> dict[str, dict[str, float]]:
    """Tell what is normal for each entity, from the trailing days."""
    window = {"since": until - TRAILING_DAYS * DAY, "until": until}
    return {
        row["entity"]: {
            "baseline_ms": float(row["baseline_ms"]),
            "baseline_rate": float(row["baseline_rate"]),
        }
        for row in store.query(_BASELINES, window)
    }


def latest(
    store: ColumnStore, entities: Sequence[str], normal: Mapping[str, dict[str, float]], now: int
) -> dict[str, FeatureRow]:
    """Read the feature rows of these entities off their last stored minute."""
    params = {"entities": list(entities), "since": now - DAY}
    rows = {}
    for found in store.query(_LATEST, params):
        entity = found["entity"]
        values = _live({name: float(found[f"last_{name}"]) for name in _READ})
        rows[entity] = FeatureRow(values | normal.get(entity, {}), float(found["last_ts"]))
    return rows


def training_rows(store: ColumnStore, since: int, until: int) -> dict[str, npt.NDArray[Any]]:
    """Give the minutes that models learn from, as columns."""
    window = {"since": since, "until": until}
    columns = dict(store.columns(_TRAINING, window))
    columns["exemplars"] = np.asarray(columns["exemplars"], dtype=np.float64)
    columns["entity"] = columns["entity"].astype(str)
    columns["ts"] = columns["ts"].astype(np.int64)  # as Telemetry has it: differences stay signed
    columns["load"] = load_of(columns["load"], columns["cpu"], columns["active_workers"])
    return columns


def metric(
    store: ColumnStore, entity: str, name: str, since: int, until: int
) -> npt.NDArray[np.float64]:
    """Give one metric of an entity by the minute, oldest first."""
    if name not in METRICS:
        raise LookupError(f"there is no metric {name!r}; the metrics are: {', '.join(METRICS)}")
    window = {"entity": entity, "since": since, "until": until}
    found = store.columns(_METRIC.format(name=name), window)
    return np.asarray(found.get("value", ()), dtype=np.float64)


def feature_row(minute: Telemetry, normal: dict[str, float]) -> FeatureRow:
    """Read a feature row off the last of these minutes, before it is even stored."""
    columns = minute.columns()
    values = _live({name: float(columns[name][-1]) for name in _READ})
    return FeatureRow(values | normal, float(minute.ts[-1]))


def _live(read: Mapping[str, float]) -> dict[str, float]:
    """Give the live features of what was read, derived where they were not measured."""
    load, cpu, workers = (np.array([read[name]]) for name in ("load", "cpu", "active_workers"))
    derived = {"load": float(load_of(load, cpu, workers)[0])}
    return {feature.name: read[feature.name] for feature in LIVE} | derived
