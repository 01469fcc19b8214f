"""Forecasts of what varies in proportion: any forecaster, working on logarithms.

Demand at noon is a hundred times that at midnight, and so is its noise: on the logarithm both are
one size, and an interval is so many per cent. What is forecast is log(y + shift); the shift, a
hundredth of the usual value, lets an hour of nought be. Back on the scale of y the middle of the
forecast is the median, not the mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from models import elementwise
from models.forecasting import artifact
from models.forecasting.answers import DRIVERS, measured
from models.forecasting.forecaster import Forecast, Forecaster, HourlySeries
from models.forecasting.kinds import kind_of, load_member
from models.protocols import FloatArray

KIND = "log_scale"
_SHARE = 0.01
_MOST = 20_000
_WINDOW = 1_344
_HIGHEST = 700.0  # e to this is near the largest float: a runaway trend stays a number


class LogScale:
    """Shows a forecaster the logarithms of its series, and gives its answers back as levels."""

    kind = KIND

    def __init__(self, inner: Forecaster, shifts: Mapping[str, float]) -> None:
        self.inner = inner
        self.name = inner.name
        self.shifts = dict(shifts)

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        shifts = [self._shift(each) for each in series]
        logs = [logarithm(each, shift) for each, shift in zip(series, shifts, strict=True)]
        return _back(self.inner.forecast(logs, horizon), np.array(shifts)[:, None])

    def save(self, folder: Path) -> None:
        kind = kind_of(self.inner)
        artifact.write(folder, KIND, {"inner": kind, "shifts": self.shifts})
        self.inner.save(folder / kind)

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        return cls(load_member(body["inner"], folder / body["inner"]), body["shifts"])

    def _shift(self, series: HourlySeries) -> float:
        known = self.shifts.get(series.entity)
        return usual_shift(series) if known is None else known


def usual_shift(series: HourlySeries) -> float:
    """Take a hundredth of the mean of late; one where that is nothing."""
    values = measured(series, _WINDOW)
    there = values[~np.isnan(values)]
    mean = float(np.mean(np.abs(there))) if there.size else 0.0
    return _SHARE * mean or 1.0


def logarithm(series: HourlySeries, shift: float) -> HourlySeries:
    """Take logarithms of the latest values; what lies below nought counts as nought."""
    values = measured(series, _MOST)
    start = series.end - series.step * values.size
    known = series.known[len(series.values) - values.size :]
    # A whole series in an array of its own: its logarithms have the same bits in any batch.
    logs = np.log(np.maximum(values, 0) + shift)
    return replace(series, start=start, values=logs, known=known)


def _back(forecast: Forecast, shift: FloatArray) -> Forecast:
    if not forecast.point.size:
        return forecast
    return replace(
        forecast,
        point=level_of(forecast.point, shift),
        lower=level_of(forecast.lower, shift),
        upper=level_of(forecast.upper, shift),
        drivers=_parts(forecast.drivers, shift),
    )


def level_of(logs: FloatArray, shift: FloatArray | float) -> FloatArray:
    """Turn logarithms back; the C library's exp, which has the same bits in any batch."""
    there = np.isfinite(logs)
    level = np.full(logs.shape, np.nan)
    level[there] = elementwise.exp(np.minimum(logs[there], _HIGHEST))
    back: FloatArray = np.maximum(level - shift, 0)
    return back


def _parts(drivers: Mapping[str, FloatArray], shift: FloatArray) -> dict[str, FloatArray]:
    """Turn factors into differences, in the order of DRIVERS, so that they add up to the point."""
    if not set(DRIVERS) <= set(drivers):
        return {}
    sums = np.cumsum(np.stack([drivers[name] for name in DRIVERS]), axis=0)
    levels = [level_of(logs, shift) for logs in sums]
    steps = [levels[0], *(after - before for before, after in pairwise(levels))]
    return dict(zip(DRIVERS, steps, strict=True))


def on_scale(values: FloatArray, shift: float | None) -> FloatArray:
    """Take logarithms, or nothing when there is no shift."""
    return values if shift is None else elementwise.log(np.maximum(values, 0) + shift)


def off_scale(values: FloatArray, shift: float | None) -> FloatArray:
    return values if shift is None else level_of(values, shift)
