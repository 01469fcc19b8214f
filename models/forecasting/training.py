"""From hourly series to the forecasters that need no PyTorch, with their held-out figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import TrainingDataError
from models.forecasting.blend import Blend, fit_blend
from models.forecasting.ensemble import EnsembleForecaster
from models.forecasting.fits import cheap_fits
from models.forecasting.forecaster import LONGEST_HORIZON, Forecaster, HourlySeries
from models.forecasting.log_scale import on_scale, usual_shift
from models.forecasting.prophet import LEVEL
from models.forecasting.rolling import Fit, Fold, PastForecasts, held_out_week, roll
from models.needs import ENSEMBLE
from models.protocols import FloatArray

Progress = Callable[[float, str], None]
_SPAN, _EVERY = 168, 6
"""The week that the weights are found on, and how far apart its origins are."""
_ROLLING_SHARE = 0.5  # of the work: as many Prophets are fitted for it as for serving


@dataclass(frozen=True, slots=True)
class CheapForecasters:
    """What `ballast up` serves before the neural ones are there."""

    prophet: Forecaster
    seasonal_naive: Forecaster
    ensemble: EnsembleForecaster
    rolled: Mapping[str, PastForecasts]
    """By entity: what the members said of the held-out week, for weights anew with others."""
    metrics: dict[str, float]
    """rmse_<forecaster>, in logarithms, and coverage_ensemble, on the later half of that week."""


def train_cheap(
    series: Sequence[HourlySeries],
    *,
    seed: int,
    progress: Progress = lambda _, __: None,
    level: float = LEVEL,
    horizon: int = LONGEST_HORIZON,
    others: Mapping[str, Fit] | None = None,
) -> CheapForecasters:
    """Fit every entity, and weigh the members by what they said of a week held out.

    The same series and seed give the same forecasters to the bit. An entity too short for a member
    is left to the others. `others` joins further members into the ensemble.
    """
    longest = max((int(np.isfinite(each.values).sum()) for each in series), default=0)
    if longest < ENSEMBLE.least_hours:
        raise TrainingDataError(
            f"forecasters need {ENSEMBLE.least_hours:g} measured hour of at least one entity, and "
            f"{longest} are there of {len(series)} entities"
        )
    shifts = {each.entity: usual_shift(each) for each in series}
    fits = {**cheap_fits(shifts, seed=seed, level=level, horizon=horizon), **(others or {})}
    fold = fold_of(horizon)
    progress(0.0, "forecasting a week held out")
    rolled = roll(
        series,
        fits,
        [fold],
        horizon,
        heard=lambda share: progress(_ROLLING_SHARE * share, "forecasting a week held out"),
    )
    members = {}
    for place, (name, fit) in enumerate(fits.items()):
        share = _ROLLING_SHARE + (1 - _ROLLING_SHARE) * place / len(fits)
        progress(share, f"fitting {name.replace('_', ' ')}")
        members[name] = fit(series)
    ensemble = EnsembleForecaster(
        tuple(members.values()), blends_of(rolled, shifts, level), level, shifts
    )
    progress(1.0, "trained")
    return CheapForecasters(
        prophet=members["prophet"],
        seasonal_naive=members["seasonal_naive"],
        ensemble=ensemble,
        rolled=rolled,
        metrics=held_out_metrics(rolled, shifts, level),
    )


def fold_of(horizon: int) -> Fold:
    """Hold out the latest week of origins."""
    return held_out_week(horizon, _SPAN, _EVERY)


def blends_of(
    rolled: Mapping[str, PastForecasts], shifts: Mapping[str, float], level: float
) -> dict[str, Blend]:
    """Find the weights of each entity, on logarithms where it has a shift."""
    found = {
        entity: fit_blend(rescaled(each, shifts.get(entity)), level)
        for entity, each in rolled.items()
    }
    return {entity: blend for entity, blend in found.items() if blend is not None}


def rescaled(rolled: PastForecasts, shift: float | None) -> PastForecasts:
    points = {name: on_scale(each, shift) for name, each in rolled.points.items()}
    return PastForecasts(points, on_scale(rolled.truth, shift), rolled.stretches)


def held_out_metrics(
    rolled: Mapping[str, PastForecasts], shifts: Mapping[str, float], level: float
) -> dict[str, float]:
    """Weigh on the earlier half of the origins and judge on the later, that no weight has seen."""
    squares: dict[str, list[float]] = {}
    held: list[bool] = []
    for entity, each in rolled.items():
        whole = rescaled(each, shifts.get(entity))
        middle = len(whole.truth) // 2
        blend = fit_blend(_part(whole, slice(0, middle)), level)
        later = _part(whole, slice(middle, None))
        for name, points in later.points.items():
            squares.setdefault(name, []).extend(_finite((points - later.truth) ** 2))
        if blend is not None:
            point = sum(share * later.points[name] for name, share in blend.weights.items())
            errors = later.truth - point
            squares.setdefault("ensemble", []).extend(_finite(errors**2))
            inside = (np.array(blend.below) <= errors) & (errors <= np.array(blend.above))
            held.extend(inside[np.isfinite(errors)].tolist())
    metrics = {
        f"rmse_{name}": float(np.sqrt(np.mean(each))) for name, each in squares.items() if each
    }
    return metrics | ({"coverage_ensemble": float(np.mean(held))} if held else {})


def _part(rolled: PastForecasts, origins: slice) -> PastForecasts:
    points = {name: each[origins] for name, each in rolled.points.items()}
    return PastForecasts(points, rolled.truth[origins], rolled.stretches / 2)


def _finite(values: FloatArray) -> list[float]:
    return list(values[np.isfinite(values)].tolist())
