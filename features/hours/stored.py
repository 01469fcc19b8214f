"""Hours, and the minutes that plans are learned from, straight out of ClickHouse."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.hours.known import HOUR
from features.hours.series import LEAST_MINUTES, MEASURES, EntityHours, laid_out
from features.telemetry.stored import ColumnStore

DAY = 86_400

# An alias that bears a column's name would stand for the aggregate in the WHERE as well.
_MEANS = ", ".join(
    f"if(countIf(isFinite({name})) >= {LEAST_MINUTES}, avgIf({name}, isFinite({name})), nan)"
    f" AS mean_{name}"
    for name in MEASURES
)
_WITHIN = "ts >= toDateTime({since:Int64}) AND ts < toDateTime({until:Int64})"

# FINAL, for a minute may have been stored twice.
_HOURLY = f"""
SELECT entity, intDiv(toUnixTimestamp(ts), {HOUR}) AS hour, {_MEANS}
FROM telemetry FINAL
WHERE {_WITHIN}
GROUP BY entity, hour ORDER BY entity, hour
"""  # noqa: S608 - the names come from this release's own definitions

_WORKER_MINUTES = f"""
SELECT toUnixTimestamp(ts) AS ts, entity, request_rate, cpu, p50_ms, p99_ms, active_workers
FROM telemetry FINAL
WHERE {_WITHIN}
ORDER BY entity, ts
"""  # noqa: S608 - nothing in it comes from outside


def stored_hours(store: ColumnStore, until: int, days: int) -> dict[str, EntityHours]:
    """Read every entity's hours of so many days, up to the last that is over at `until`."""
    end = until // HOUR * HOUR
    found = store.columns(_HOURLY, {"since": end - days * DAY, "until": end})
    if not found:
        return {}
    rows: dict[str, NDArray[Any]] = {name: found[f"mean_{name}"] for name in MEASURES}
    rows["entity"] = found["entity"].astype(str)
    rows["hour"] = found["hour"].astype(np.int64)
    return laid_out(rows, end)


def worker_minutes(store: ColumnStore, since: int, until: int) -> dict[str, NDArray[Any]]:
    """Give the minutes from which it is learned what a worker carries, as columns."""
    columns = dict(store.columns(_WORKER_MINUTES, {"since": since, "until": until}))
    columns["entity"] = columns["entity"].astype(str)
    columns["ts"] = columns["ts"].astype(np.int64)
    return columns
