"""What is read out of a fitted `prophet.Prophet`."""

from typing import Any

import numpy as np
import pandas as pd

from models.errors import TrainingDataError
from models.forecasting.prophet_curve import Holiday, ProphetCurve, Regressor, Season

_SECOND = pd.Timedelta("1s")
_YEARS_AHEAD = 5
"""How far ahead the days of a country's holidays are written down."""


def curve_of(model: Any) -> ProphetCurve:
    """Read a fitted Prophet of linear or flat growth, fitted by optimisation."""
    _refuse_other_forms(model)
    value = {name: np.asarray(found, np.float64).ravel() for name, found in model.params.items()}
    flat = model.growth == "flat"
    seasons, rest = _seasons(model, value["beta"])
    holidays, rest = _holidays(model, rest)
    return ProphetCurve(
        start=float((model.start - pd.Timestamp(0)) / _SECOND),
        span=float(model.t_scale / _SECOND),
        y_scale=float(model.y_scale),
        floor=0.0 if model.scaling == "absmax" else float(model.y_min),
        k=float(value["k"][0]),
        m=float(value["m"][0]),
        changes=tuple(np.asarray(model.changepoints_t, np.float64).tolist()),
        deltas=tuple(value["delta"].tolist()),
        sigma=float(value["sigma_obs"][0]),
        flat=flat,
        seasons=seasons,
        regressors=_regressors(model, rest),
        holidays=holidays,
    )


def _refuse_other_forms(model: Any) -> None:
    conditions = [each["condition_name"] for each in model.seasonalities.values()]
    predicted = [each["predictor_spec"] for each in model.extra_regressors.values()]
    fine = model.growth in {"linear", "flat"} and model.mcmc_samples == 0
    if not fine or any(conditions) or any(each is not None for each in predicted):
        raise TrainingDataError(
            f"Prophet of growth {model.growth}, {model.mcmc_samples} MCMC samples, conditions "
            f"{conditions}: the closed form has linear and flat growth, no samples, no conditions"
        )


def _seasons(model: Any, beta: Any) -> tuple[tuple[Season, ...], Any]:
    found = []
    for each in model.seasonalities.values():
        width = 2 * each["fourier_order"]
        own, beta = np.split(beta, [width])
        found.append(
            Season(
                float(each["period"]),
                int(each["fourier_order"]),
                each["mode"] == "multiplicative",
                tuple(own.tolist()),
            )
        )
    return tuple(found), beta


def _holidays(model: Any, beta: Any) -> tuple[tuple[Holiday, ...], Any]:
    """Ask Prophet itself which days its columns mark, from training on for some years."""
    last = model.history["ds"].max() + pd.DateOffset(years=_YEARS_AHEAD)
    days = pd.Series(pd.date_range(model.start.normalize(), last, freq="D"))
    table = model.construct_holiday_dataframe(days)
    if len(table) == 0:
        return (), beta
    columns = model.make_holiday_features(days, table)[0]
    own, rest = np.split(beta, [columns.shape[1]])
    numbers = ((days - pd.Timestamp(0)) // pd.Timedelta("1D")).to_numpy()
    multiplicative = model.holidays_mode == "multiplicative"
    return tuple(
        Holiday(tuple(numbers[marks > 0].tolist()), multiplicative, float(each))
        for marks, each in zip(columns.to_numpy().T, own, strict=True)
    ), rest


def _regressors(model: Any, beta: Any) -> tuple[Regressor, ...]:
    return tuple(
        Regressor(
            name,
            float(each["mu"]),
            float(each["std"]),
            each["mode"] == "multiplicative",
            float(own),
        )
        for (name, each), own in zip(model.extra_regressors.items(), beta, strict=False)
    )
