"""Rolling origins: what forecasters would have said in the past, beside what came.

Tashman, Out-of-sample tests of forecasting accuracy, International Journal of Forecasting 2000. A
fold fits on what came before it and forecasts from one or more origins after that, so that no
forecast has seen its truth.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.forecasting.forecaster import Forecaster, HourlySeries
from models.protocols import FloatArray

Fit = Callable[[Sequence[HourlySeries]], Forecaster]


@dataclass(frozen=True, slots=True)
class Fold:
    """Counted back from a series' end, so that series of several lengths share it."""

    fit_until: int
    """How many of the latest values the fit does not see."""
    origins: tuple[int, ...]
    """How many of the latest values each forecast does not see; none more than `fit_until`."""


@dataclass(frozen=True, slots=True)
class PastForecasts:
    """One entity's past forecasts."""

    points: Mapping[str, FloatArray]
    """By forecaster: (origins, horizon); NaN where it did not say."""
    truth: FloatArray
    """(origins, horizon); NaN where nothing was measured."""
    stretches: float
    """How many horizons the truths cover without overlap: about the number of separate looks."""


def cut(series: HourlySeries, back: int) -> HourlySeries:
    """Forget the latest `back` values; the known columns stay, as they were known."""
    return replace(series, values=series.values[: max(len(series.values) - back, 0)])


def held_out_week(horizon: int, span: int, every: int) -> Fold:
    """Fit once, and ask every `every` values over a `span`; the last forecast ends the series."""
    origins = tuple(range(horizon, horizon + span, every))[::-1]
    return Fold(origins[0], origins)


def roll(
    series: Sequence[HourlySeries],
    fits: Mapping[str, Fit],
    folds: Sequence[Fold],
    horizon: int,
    *,
    heard: Callable[[float], None] = lambda _: None,
) -> dict[str, PastForecasts]:
    """Fit and forecast each fold; answers by entity, `heard` hears the share done."""
    points: dict[str, list[FloatArray]] = {name: [] for name in fits}
    done = 0
    for fold in folds:
        known = [cut(each, fold.fit_until) for each in series]
        asked = [cut(each, back) for each in series for back in fold.origins]
        for name, fit in fits.items():
            point = fit(known).forecast(asked, horizon).point
            points[name].append(point.reshape(len(series), len(fold.origins), horizon))
            done += 1
            heard(done / (len(folds) * len(fits)))
    whole = {name: np.concatenate(parts, axis=1) for name, parts in points.items() if parts}
    backs = [back for fold in folds for back in fold.origins]
    return {
        each.entity: PastForecasts(
            {name: rows[place] for name, rows in whole.items()},
            np.stack([_came(each, back, horizon) for back in backs]),
            _stretches(backs, horizon),
        )
        for place, each in enumerate(series)
        if backs
    }


def _came(series: HourlySeries, back: int, horizon: int) -> FloatArray:
    """Give what came after the origin; NaN when the series had not begun by then."""
    first = len(series.values) - back
    places = np.arange(first, first + horizon)
    found = np.full(horizon, np.nan)
    if first > 0:
        found[:] = series.values[places]
    return np.where(np.isfinite(found), found, np.nan)


def _stretches(backs: Sequence[int], horizon: int) -> float:
    covered = {back - ahead for back in backs for ahead in range(horizon)}
    return len(covered) / horizon
