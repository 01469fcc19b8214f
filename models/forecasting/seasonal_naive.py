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
FEWEST_OTHERS = 5
_SEASONS = 8
"""How many seasons back a gap is bridged, and over how many errors are counted."""


class SeasonalNaive:
    """Answers every series; one without any history gets the profile of the others."""

    name = KIND

    def __init__(
        self,
        lags: Sequence[int] = LAGS,
        level: float = 0.9,
        profile: Profile = NOTHING,
        doubt: float | None = None,
    ) -> None:
        """`doubt` is the spread until a season was seen; a value's own size where it is None.

        On a scale of logarithms a value has no size of its own.
        """
        self.lags = tuple(lags)
        self.level = level
        self.profile = profile
        self.doubt = doubt

    def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
        return stacked([self._answer(each, horizon) for each in series], horizon, self.level)

    def save(self, folder: Path) -> None:
        body = {"lags": self.lags, "level": self.level, "profile": self.profile.document()}
        artifact.write(folder, KIND, body | {"doubt": self.doubt})

    @classmethod
    def load(cls, folder: Path) -> Self:
        body = artifact.read(folder, KIND)
        # Earlier releases knew of no doubt.
        return cls(body["lags"], body["level"], Profile.of(body["profile"]), body.get("doubt"))

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
        """Widen by the errors of the last value at each distance, and until a season by doubt."""
        distances = range(1, min(horizon, len(values)) + 1)
        sizes = [error_quantile(lagged_errors(values, each), self.level) for each in distances]
        known = np.array([each for each in sizes if not math.isnan(each)])
        doubt = float(np.nanmax(np.abs(values))) if self.doubt is None else self.doubt
        if known.size == 0:
            return np.full(horizon, doubt)
        grown = np.maximum.accumulate(known)
        spread = grown[np.minimum(np.arange(horizon), grown.size - 1)]
        # What the night is like, an afternoon does not tell.
        return np.maximum(spread, doubt) if len(values) < 2 * min(self.lags) else spread

    def _without_history(self, series: HourlySeries, horizon: int) -> Answer:
        point, lower, upper = self.profile.at(series.end, series.step, horizon)
        others = self.profile.entities
        if self.doubt is not None and 0 < others < FEWEST_OTHERS:  # too few to say how they differ
            lower, upper = point - self.doubt, point + self.doubt
        whose = f"the median of {others} other entities" if others else "nothing is known, so 0"
        return Answer(point, lower, upper, {}, f"no history at all: {whose}")
