"""A series' latest hours with its gaps filled, as the networks need them."""

from dataclasses import replace

import numpy as np

from models.forecasting.answers import measured
from models.forecasting.forecaster import HourlySeries
from models.protocols import FloatArray

_DAY = 24
_MOST_GAPS = 0.25
"""Share of the hours; with more, what the networks would see is mostly made up."""


def latest_hours(series: HourlySeries, least: int, most: int) -> FloatArray | None:
    """Take up to `most` of the latest hours, filled; None for fewer than `least`, or many gaps."""
    values = measured(series, most)
    if values.size < least or gappy(values[-least:]):
        return None
    return filled(values[-least:] if gappy(values) else values)


def gappy(values: FloatArray) -> bool:
    return bool(np.isnan(values).mean() > _MOST_GAPS)


def until(series: HourlySeries, hour: int) -> HourlySeries:
    """Forget the series' values from an hour on."""
    return replace(series, values=series.values[:hour])


def filled(values: FloatArray) -> FloatArray:
    """Fill a gap with the same hour of the day before, at the beginning of the day after.

    An hour that was never measured takes the latest value there is.
    """
    out = values.copy()
    for hour in np.flatnonzero(np.isnan(out)).tolist():
        if hour >= _DAY:
            out[hour] = out[hour - _DAY]
    for hour in np.flatnonzero(np.isnan(out))[::-1].tolist():
        if hour + _DAY < out.size:
            out[hour] = out[hour + _DAY]
    there = ~np.isnan(out)
    if there.any():
        out[~there] = out[there][-1]
    return out
