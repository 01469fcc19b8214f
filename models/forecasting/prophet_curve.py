"""A fitted Prophet in closed form: the yhat of `Prophet.predict`, without pandas.

Taylor and Letham, Forecasting at scale, The American Statistician 2018. With t the time scaled so
that training ends at 1, y_scale the unit of y, and s_j, delta_j the change points and what they add
to the slope:

    trend(t) = y_scale ((k + sum_{s_j <= t} delta_j) t + m - sum_{s_j <= t} delta_j s_j) + floor
    yhat(t)  = trend(t) (1 + multiplicative terms) + additive terms,

each term a Fourier series, an indicator of days, or a standardised regressor, times its beta.
Prophet finds the interval by simulating change points to come. Here their variance is exact: they
come as a Poisson process of rate S, the number of change points in training, with Laplace(lambda)
slopes, lambda the mean absolute delta, so that at t > 1 the trend has the variance
2 lambda^2 S (t - 1)^3 / 3, to which sigma_obs^2 is added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from models.forecasting.fourier import fourier_ahead, times
from models.protocols import BoolArray, FloatArray

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Season:
    period: float
    """Days."""
    order: int
    multiplicative: bool
    beta: tuple[float, ...]
    """Of sin and cos in turn, in units of y_scale."""


@dataclass(frozen=True, slots=True)
class Regressor:
    name: str
    mu: float
    sd: float
    multiplicative: bool
    beta: float


@dataclass(frozen=True, slots=True)
class Holiday:
    days: tuple[int, ...]
    """Days since 1970 on which it is, or which lie at its offset."""
    multiplicative: bool
    beta: float


class Parts(NamedTuple):
    trend: FloatArray
    seasonality: FloatArray
    holidays: FloatArray
    """Holidays and regressors."""
    variance: FloatArray

    @property
    def yhat(self) -> FloatArray:
        return self.trend + (self.seasonality + self.holidays)


@dataclass(frozen=True, slots=True)
class ProphetCurve:
    """All that a prediction needs of one fitted Prophet."""

    start: float
    """Epoch seconds of the first training value."""
    span: float
    """Seconds from it to the last."""
    y_scale: float
    floor: float
    k: float
    m: float
    changes: tuple[float, ...]
    """s_j, in scaled time."""
    deltas: tuple[float, ...]
    sigma: float
    """sigma_obs, in units of y_scale."""
    flat: bool
    seasons: tuple[Season, ...]
    regressors: tuple[Regressor, ...]
    holidays: tuple[Holiday, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The regressors that a prediction has to bring."""
        return tuple(each.name for each in self.regressors)

    def parts(self, start: int, step: int, steps: int, known: FloatArray) -> Parts:
        """Evaluate at `steps` times from `start`, `step` seconds apart.

        `known` has a row a time and a column for each of `names`.
        """
        seconds = times(start, step, steps)
        t = (seconds - self.start) / self.span
        trend = self._trend(t) * self.y_scale + self.floor
        seasonal, events = np.zeros((2, 2, steps))  # each of additive, multiplicative
        for season in self.seasons:
            columns = fourier_ahead(start, step, steps, season.period, season.order)
            seasonal[int(season.multiplicative)] += (columns * season.beta).sum(axis=1)
        for regressor, values in zip(self.regressors, known.T, strict=True):
            scaled = (values - regressor.mu) / regressor.sd
            events[int(regressor.multiplicative)] += scaled * regressor.beta
        for holiday in self.holidays:
            events[int(holiday.multiplicative)] += _is_on(holiday, seconds) * holiday.beta
        return Parts(
            trend,
            seasonal[0] * self.y_scale + trend * seasonal[1],
            events[0] * self.y_scale + trend * events[1],
            self._variance(t, 1 + seasonal[1] + events[1]),
        )

    def document(self) -> dict[str, Any]:
        """Give what `of` reads back, ready for JSON."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return own | {
            key: [
                {name: getattr(each, name) for name in each.__dataclass_fields__}
                for each in own[key]
            ]
            for key in ("seasons", "regressors", "holidays")
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        return cls(
            **dict(document)
            | {
                "changes": tuple(document["changes"]),
                "deltas": tuple(document["deltas"]),
                "seasons": tuple(
                    Season(**each | {"beta": tuple(each["beta"])}) for each in document["seasons"]
                ),
                "regressors": tuple(Regressor(**each) for each in document["regressors"]),
                "holidays": tuple(
                    Holiday(**each | {"days": tuple(each["days"])}) for each in document["holidays"]
                ),
            }
        )

    def _trend(self, t: FloatArray) -> FloatArray:
        if self.flat:
            return np.full(t.size, self.m)
        changes = np.array(self.changes)
        passed = (changes <= t[:, None]) * np.array(self.deltas)
        slope = passed.sum(axis=1) + self.k
        offset = (passed * -changes).sum(axis=1) + self.m
        trend: FloatArray = slope * t + offset
        return trend

    def _variance(self, t: FloatArray, factor: FloatArray) -> FloatArray:
        ahead = np.zeros(t.size) if self.flat else np.maximum(t - 1, 0)
        jump = float(np.mean(np.abs(self.deltas))) if self.deltas else 0.0
        drift = 2 * jump**2 * len(self.changes) * ahead**3 / 3
        variance: FloatArray = (drift * factor**2 + self.sigma**2) * self.y_scale**2
        return variance


def _is_on(holiday: Holiday, seconds: FloatArray) -> BoolArray:
    return np.isin(seconds // _DAY, holiday.days)
