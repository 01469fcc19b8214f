"""Telemetry by the hour of intervals at hand: what the history does in SQL, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.hours.known import HOUR
from features.hours.series import LEAST_SHARE, MEASURES, EntityHours, laid_out
from features.hours.stored import AROUND
from features.telemetry.columns import Floats, Ints, Telemetry


def hours_of(telemetry: Telemetry, until: int) -> dict[str, EntityHours]:
    """Take the means of intervals at hand, of the hours that are over at `until`."""
    before = telemetry.rows(telemetry.ts < until // HOUR * HOUR)
    parts: list[dict[str, NDArray[Any]]] = []
    for entity in np.unique(before.entity):
        own = before.rows(before.entity == entity)
        hours = np.unique(own.ts // HOUR)
        means = {name: _means(own.ts, own.columns()[name], hours) for name in MEASURES}
        parts.append({"entity": np.full(hours.size, entity), "hour": hours} | means)
    if not parts:
        return {}
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return laid_out(rows, until)


def _means(ts: Ints, values: Floats, hours: Ints) -> Floats:
    fine = np.isfinite(values)
    ts, values = ts[fine], values[fine]
    of_hour = [ts // HOUR == hour for hour in hours]
    steps = np.array([np.diff(ts[own]).min() if own.sum() > 1 else np.nan for own in of_hour])
    found = np.full(hours.size, np.nan)
    for at, own in enumerate(of_hour):
        near = steps[(np.abs(hours - hours[at]) <= AROUND) & ~np.isnan(steps)]
        cadence = np.sort(near)[(near.size - 1) // 2] if near.size else HOUR
        if own.sum() * cadence >= HOUR * LEAST_SHARE:
            found[at] = values[own].mean()
    return found
