"""Telemetry by the hour of minutes at hand: what the history does in SQL, in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.hours.known import HOUR
from features.hours.series import LEAST_MINUTES, MEASURES, EntityHours, laid_out
from features.telemetry.columns import Telemetry


def hours_of(telemetry: Telemetry, until: int) -> dict[str, EntityHours]:
    """Take the means of minutes at hand, of the hours that are over at `until`."""
    columns = telemetry.columns()
    before = telemetry.ts < until // HOUR * HOUR
    entities, which = np.unique(telemetry.entity[before], return_inverse=True)
    hour = telemetry.ts[before] // HOUR
    means: dict[str, NDArray[Any]] = {}
    keys, row = np.unique(np.stack([which, hour]), axis=1, return_inverse=True)
    for name in MEASURES:
        values = columns[name][before]
        fine = np.isfinite(values)
        count = np.bincount(row[fine], minlength=keys.shape[1])
        total = np.bincount(row[fine], values[fine], minlength=keys.shape[1])
        means[name] = np.where(count >= LEAST_MINUTES, total / np.maximum(count, 1), np.nan)
    return laid_out({"entity": entities[keys[0]], "hour": keys[1]} | means, until)
