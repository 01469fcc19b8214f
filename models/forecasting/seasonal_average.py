"""The mean of several seasons: the seasonal naive with the noise of one season averaged out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from models.forecasting import artifact
from models.forecasting.answers import Answer, measured, stacked
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.seasons import seasons_before
from models.forecasting.spread import error_quantile
from models.protocols import FloatArray

KIND = "seasonal_average"


class SeasonalAverage:
    """Answers a series that is a season long or longer."""

    name = KIND

    def __init__(self, lag: int = 168, seasons: int = 4, level: float = 0.9) -> None:
        self.lag = lag
        self.seasons = seasons
        self.level = level

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        return stacked([self._answer(each, horizon) for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        body = {"lag": self.lag, "seasons": self.seasons, "level": self.level}
        artifact.write(folder, KIND, body)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(**artifact.read(folder, KIND))

    def _answer(self, series: HourlySeries, horizon: int) -> Answer | None:
        values = measured(series, self.lag * (2 * self.seasons + horizon // self.lag + 1))
        point = self._mean(values, horizon)
        if np.isnan(point).any():
            return None
        spread = error_quantile(self._past_errors(values), self.level)
        basis = f"the mean of up to {self.seasons} seasons of {self.lag} steps"
        return Answer(point, point - spread, point + spread, {}, basis)

    def _mean(self, values: FloatArray, horizon: int) -> FloatArray:
        return mean_of_rows(seasons_before(values, self.lag, horizon, self.seasons))

    def _past_errors(self, values: FloatArray) -> FloatArray:
        """Forecast each of the latest seasons from those before it."""
        whole = len(values) // self.lag
        rows = values[len(values) - whole * self.lag :].reshape(whole, self.lag)
        errors = [
            rows[place] - mean_of_rows(rows[max(place - self.seasons, 0) : place])
            for place in range(max(whole - self.seasons, 1), whole)
        ]
        return np.concatenate(errors) if errors else np.zeros(0)


def mean_of_rows(rows: FloatArray) -> FloatArray:
    """Average each column over what was measured; NaN where nothing was."""
    there = ~np.isnan(rows)
    counts = there.sum(axis=0)
    sums = np.where(there, rows, 0.0).sum(axis=0)
    mean: FloatArray = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return mean
