"""Forecasts one series from its own past."""

import numpy as np

from models.errors import TrainingDataError
from models.forecasting.local.question import LocalForecast, Question
from models.forecasting.local.repeated import repeat_last

TOO_SHORT = "fewer than four values say too little of how far a forecast goes wrong"


def forecast_series(question: Question) -> LocalForecast:
    """Answer; raises TrainingDataError where no value was measured at all."""
    if np.isnan(question.values).all():
        raise TrainingDataError("no value was measured: at least one is needed")
    return _repeated(question)


def _repeated(question: Question) -> LocalForecast:
    point, spread = repeat_last(question.values, question.horizon, question.levels)
    claimed = not np.isnan(spread).any()
    return LocalForecast(
        np.full(question.horizon, point),
        point - spread,
        point + spread,
        {"naive": 1.0},
        interval_reason=None if claimed else TOO_SHORT,
        coverage_reason="the series is too short to form intervals in its past",
    )
