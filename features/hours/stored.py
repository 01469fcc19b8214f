"""Hours, and the intervals that plans are learned from, straight out of ClickHouse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.hours.known import HOUR
from features.hours.series import LEAST_SHARE, MEASURES, EntityHours, laid_out
from features.telemetry.merged import IN_ORDER, interval_rows, merged, plain, scope_of
from features.telemetry.tables import ColumnStore

DAY = 86_400
AROUND = 12
"""So many hours before and after one say how often an entity is measured about then."""

_WORKERS = ("request_rate", "cpu", "p50_ms", "p99_ms", "active_workers")


def _each(text: str) -> str:
    return ", ".join(text.format(name=name) for name in MEASURES)


# How far a metric's intervals lie apart is the shortest step within an hour, at the median over
# the hours around it: a source may change its cadence, two sources may give an entity's metrics at
# different ones, and an hour with two numbers left would seem measured half-hourly. Where no hour
# around has two numbers, the cadence is an hour. A step of 0 is an interval that counts twice.
_MEANS = _each("avgIf({name}, isFinite({name})) AS mean_{name}")
_SECONDS = _each(
    f"arraySort(groupArrayIf(toUInt16(toUnixTimestamp(ts) % {HOUR}), isFinite({{name}})))"
    " AS seconds_{name}, arrayPopFront(arrayDifference(seconds_{name})) AS steps_{name}"
)
_STEPS = _each(
    "mean_{name}, length(seconds_{name}) AS count_{name},"
    " if(empty(steps_{name}), NULL, arrayMin(steps_{name})) AS step_{name}"
)
_CADENCES = _each(
    f"mean_{{name}}, count_{{name}}, step_{{name}} = 0 AS doubled_{{name}},"
    f" ifNull(medianExactLow(step_{{name}}) OVER around, {HOUR}) AS cadence_{{name}}"
)
_MEASURED = _each(
    f"if(count_{{name}} * cadence_{{name}} >= {HOUR * LEAST_SHARE}, mean_{{name}}, nan)"
    " AS measured_{name}"
)
_DOUBLED = " OR ".join(f"ifNull(doubled_{name}, 0)" for name in MEASURES)

_HOURLY = f"""
SELECT entity, hour, {_MEASURED}, {_DOUBLED} AS doubled
FROM (
    SELECT entity, hour, {_CADENCES}
    FROM (
        SELECT entity, hour, {_STEPS}
        FROM (
            SELECT entity, intDiv(toUnixTimestamp(ts), {HOUR}) AS hour, {_MEANS}, {_SECONDS}
            FROM ({{rows}})
            GROUP BY entity, hour
        )
    )
    WINDOW around AS (
        PARTITION BY entity ORDER BY hour
        RANGE BETWEEN {AROUND} PRECEDING AND {AROUND} FOLLOWING
    )
)
ORDER BY entity, hour
"""  # noqa: S608 - the names come from this release's own definitions


def stored_hours(
    store: ColumnStore, until: int, days: int, *, known_until_ms: int | None = None
) -> dict[str, EntityHours]:
    """Read every entity's hours of so many days, up to the last that is over at `until`."""
    end = until // HOUR * HOUR
    scope = scope_of(store, end - days * DAY, end, known_until_ms=known_until_ms)
    found = store.columns(_HOURLY.format(rows=plain(MEASURES, scope)), scope.params)
    if not found:
        return {}
    if found["doubled"].any():
        sql = _HOURLY.format(rows=merged(MEASURES, scope)) + IN_ORDER
        found = store.columns(sql, scope.params)
    rows: dict[str, NDArray[Any]] = {name: found[f"measured_{name}"] for name in MEASURES}
    rows["entity"] = found["entity"].astype(str)
    rows["hour"] = found["hour"].astype(np.int64)
    return laid_out(rows, end)


def worker_minutes(
    store: ColumnStore, since: int, until: int, *, known_until_ms: int | None = None
) -> dict[str, NDArray[Any]]:
    """Give the intervals from which it is learned what a worker carries, as columns."""
    return interval_rows(
        store, _WORKERS, scope_of(store, since, until, known_until_ms=known_until_ms)
    )
