"""The last of the chain: what stood there a week ago, or a day ago, or last.

Nothing is fitted, so that nothing can be missing: a series of any length gets an answer, and the
answer says what it rests on.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from models.forecasting import artifact
from models.forecasting.answers import Answer, measured, stacked
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.profile import NOTHING, Profile
from models.forecasting.seasons import latest_season
from models.forecasting.spread import error_quantile, lagged_errors
from models.protocols import FloatArray

KIND = "seasonal_naive"
LAGS = (168, 24)
_SEASONS = 8
"""How many seasons back a gap is bridged, and over how many errors are counted."""


class SeasonalNaive:
    """Answers every series; one without any history gets the profile of the others."""

    name = KIND

    def __init__(
        self, lags: Sequence[int] = LAGS, level: float = 0.9, profile: Profile = NOTHING
    ) -> None:
        self.lags = tuple(lags)
        self.level = level
        self.profile = profile

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        return stacked([self._answer(each, horizon) for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        body = {"lags": self.lags, "level": self.level, "profile": self.profile.document()}
        artifact.write(folder, KIND, body)

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        return cls(body["lags"], body["level"], Profile.of(body["profile"]))

    def _answer(self, series: HourlySeries, horizon: int) -> Answer:
        values = measured(series, _SEASONS * max(self.lags))
        there = np.flatnonzero(~np.isnan(values))
        if there.size == 0:
            return self._without_history(series, horizon)
        point, spread = np.full(horizon, np.nan), np.full(horizon, np.nan)
        sources = {}
        for lag in self.lags:
            found = latest_season(values, lag, horizon, _SEASONS)
            open_yet = np.isnan(point) & ~np.isnan(found)
            point[open_yet] = found[open_yet]
            if open_yet.any():
                spread[open_yet] = error_quantile(lagged_errors(values, lag), self.level)
            sources[f"the value {lag} steps before"] = np.count_nonzero(open_yet)
        last = np.isnan(point)
        sources["the last value"] = np.count_nonzero(last)
        point[last] = values[there[-1]]
        if (unknown := np.isnan(spread)).any():
            spread[unknown] = self._ignorance(values, horizon)[unknown]
        basis = max(sources, key=lambda source: sources[source])
        return Answer(point, point - spread, point + spread, {}, basis)

    def _ignorance(self, values: FloatArray, horizon: int) -> FloatArray:
        """Widen by the errors of the last value at each distance; of one value, by its own size."""
        distances = range(1, min(horizon, len(values)) + 1)
        sizes = [error_quantile(lagged_errors(values, each), self.level) for each in distances]
        known = np.array([each for each in sizes if not math.isnan(each)])
        if known.size == 0:
            return np.full(horizon, float(np.nanmax(np.abs(values))))
        grown = np.maximum.accumulate(known)
        return grown[np.minimum(np.arange(horizon), grown.size - 1)]

    def _without_history(self, series: HourlySeries, horizon: int) -> Answer:
        rows = self.profile.at(series.end, series.step, horizon)
        others = self.profile.entities
        whose = f"the median of {others} other entities" if others else "nothing is known, so 0"
        return Answer(*rows, {}, f"no history at all: {whose}")
