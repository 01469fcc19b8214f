"""What a temporal fusion transformer sees of a series: past values, the clock, what is known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.forecasting.forecaster import HOUR, HourlySeries
from models.forecasting.known import known_about
from models.forecasting.neural.gaps import latest_hours
from models.forecasting.neural.scale_kernel import Scaled, scaled
from models.protocols import FloatArray

PAST = 48
"""Hours that the encoder reads."""
LAGS = (24, 168)
"""Hours back at which each hour ahead is shown its own past; at least the longest horizon."""
MEASURED = 672
"""Hours by which a series is scaled: four whole weeks, so that a weekend does not shift it."""
LEAST = PAST + max(LAGS)
EPSILON = float(np.finfo(np.float16).eps)
"""Added to the spread by pytorch-forecasting's GroupNormalizer."""

VALUE = "y"
SHAPE = ("swing", "lean")
"""Constants of a series that say nothing of its size, so that one of any size can be answered."""
LAGGED = tuple(f"{VALUE}_lagged_by_{lag}" for lag in LAGS)
# The hour of the day and of the week (UTC) on a circle, the same bits for the same hour.
CLOCK = ("day_sin", "day_cos", "week_sin", "week_cos")
_DAY, _WEEK = 24, 168


def _turns(period: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * hour / period for hour in range(period)]
    return [(math.sin(angle), math.cos(angle)) for angle in angles]


_TABLE = np.array([day + week for day, week in zip(_turns(_DAY) * 7, _turns(_WEEK), strict=True)])


@dataclass(frozen=True, slots=True)
class Layout:
    """Which variables the network was trained with, and how each was scaled."""

    known: tuple[str, ...]
    """Columns that the series must bring."""
    static: tuple[str, ...]
    """Variables by the network's own names, in its order."""
    encoder: tuple[str, ...]
    decoder: tuple[str, ...]
    scalers: Mapping[str, tuple[float, float]]
    """Mean and spread of every variable but the value and its lags."""

    def title(self, variable: str) -> str:
        """Name a variable as people know it."""
        if variable in LAGGED:
            return f"{LAGS[LAGGED.index(variable)]} hours before"
        names = {column(place): name for place, name in enumerate(self.known)}
        return "value" if variable == VALUE else names.get(variable, variable)


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """One series as the network sees it."""

    scale: Scaled
    static: FloatArray
    encoder: FloatArray
    """(PAST, variables)"""
    decoder: FloatArray
    """(hours ahead, variables)"""


def column(place: int) -> str:
    """Name a known column for pytorch-forecasting, which does not take every name."""
    return f"known_{place}"


def network_input(series: HourlySeries, horizon: int, layout: Layout) -> NetworkInput | None:
    """Show a series to the network; None when it is too short or lacks what was trained with."""
    if series.step != HOUR:
        return None
    values = latest_hours(series, LEAST, MEASURED)
    known = known_about(series, layout.known, PAST, horizon)
    if values is None or known is None:
        return None
    scale = scaled(values, EPSILON, curved=False)
    past, ahead = _columns(series, scale, known, layout)
    static = shape_of(values, scale)
    return NetworkInput(
        scale,
        np.concatenate([_one(static[name], layout.scalers[name]) for name in layout.static]),
        _side_by_side(past, layout.encoder),
        _side_by_side(ahead, layout.decoder),
    )


def shape_of(values: FloatArray, scale: Scaled) -> dict[str, FloatArray]:
    """Say how far a series swings about its usual size, and to which side its mean leans."""
    size = math.fsum(np.abs(values).tolist()) / values.size
    swing = scale.spread / size if size > 0 else 0.0
    lean = (float(np.median(values)) - scale.centre) / scale.spread
    return dict(zip(SHAPE, np.array([[swing], [lean]]), strict=True))


def clock(start: int, hours: int) -> FloatArray:
    """Give a row of CLOCK for each of the hours from `start`, epoch seconds."""
    first = start // HOUR
    return _TABLE[(first + np.arange(hours)) % _WEEK]


def _columns(
    series: HourlySeries, scale: Scaled, known: FloatArray, layout: Layout
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Give the variables by name, of the past hours and of those ahead."""
    horizon = len(known) - PAST
    hours = clock(series.end - PAST * HOUR, PAST + horizon)
    both = dict(zip(CLOCK, hours.T, strict=True))
    both |= {column(place): known[:, place] for place in range(known.shape[1])}
    both = {name: _one(each, layout.scalers[name]) for name, each in both.items()}
    past = {name: each[:PAST] for name, each in both.items()}
    ahead = {name: each[PAST:] for name, each in both.items()}
    past[VALUE] = scale.values[-PAST:]
    for name, lag in zip(LAGGED, LAGS, strict=True):
        past[name] = scale.values[-PAST - lag : -lag]
        ahead[name] = scale.values[-lag:][:horizon]
    return past, ahead


def _one(value: FloatArray, scaler: tuple[float, float]) -> FloatArray:
    return (value - scaler[0]) / scaler[1]


def _side_by_side(columns: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    return np.stack([columns[name] for name in names], axis=1)
