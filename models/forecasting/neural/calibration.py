"""What the networks' intervals need, found on the latest days, which they were not trained on.

Errors are taken in a network's units, so that all entities count alike, at rolling origins, for
each hour ahead.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from models.conformal import conformal_quantile, cqr_scores
from models.errors import CalibrationError
from models.forecasting.forecaster import LONGEST_HORIZON, HourlySeries
from models.forecasting.neural.gaps import until
from models.forecasting.neural.nbeats import NBeats, window_of
from models.forecasting.neural.tft import LEVEL, QUANTILES, TemporalFusionTransformer
from models.forecasting.neural.tft_inputs import network_input
from models.protocols import FloatArray

HELD = 240
"""Hours held out, but never more than a quarter of a series."""
_EVERY = 6


def held_hours(series: HourlySeries) -> int:
    return min(HELD, len(series.values) // 4)


def trained_on(series: Sequence[HourlySeries]) -> list[HourlySeries]:
    """Cut off what is held out."""
    return [until(each, len(each.values) - held_hours(each)) for each in series]


def interval_offsets(
    model: TemporalFusionTransformer, series: Sequence[HourlySeries]
) -> FloatArray:
    """Give what to move both ends of the interval out by, for each hour ahead (CQR)."""
    lower, upper = QUANTILES.index(0.05), QUANTILES.index(0.95)
    views, truths = [], []
    for past, coming in _origins(series):
        if view := network_input(past, LONGEST_HORIZON, model.layout):
            views.append(view)
            truths.append(view.scale.there(coming))
    rows = model.scaled_quantiles(views, LONGEST_HORIZON)
    truth = np.reshape(truths, (-1, LONGEST_HORIZON))
    return _by_hour(cqr_scores(rows[..., lower], rows[..., upper], truth), LEVEL)


def error_quantiles(
    model: NBeats, series: Sequence[HourlySeries], level: float
) -> tuple[FloatArray, FloatArray]:
    """Give the lower and upper quantiles of the errors for each hour ahead, tail by tail."""
    windows, truths = [], []
    for past, coming in _origins(series):
        if window := window_of(past):
            windows.append(window)
            truths.append(window.there(coming))
    errors = np.reshape(truths, (-1, LONGEST_HORIZON)) - model.scaled_points(windows)
    tail = (1 + level) / 2
    return -_by_hour(-errors, tail), _by_hour(errors, tail)


def _origins(series: Sequence[HourlySeries]) -> Iterator[tuple[HourlySeries, FloatArray]]:
    """Give each held-out origin: the series until then, and what came."""
    for each in series:
        hours = len(each.values)
        for origin in range(hours - held_hours(each), hours - LONGEST_HORIZON + 1, _EVERY):
            coming = np.asarray(each.values[origin : origin + LONGEST_HORIZON], np.float64)
            yield until(each, origin), coming


def _by_hour(scores: FloatArray, level: float) -> FloatArray:
    """Take the conformal quantile at each hour; an hour with too few scores takes that of all."""
    everything = scores[np.isfinite(scores)]
    out = np.empty(scores.shape[1])
    for hour in range(scores.shape[1]):
        column = scores[:, hour][np.isfinite(scores[:, hour])]
        try:
            out[hour] = conformal_quantile(column, level)
        except CalibrationError:
            out[hour] = conformal_quantile(everything, level)
    return out
