"""What other entities do at an hour of the week: all that can be said of one without history."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from models.forecasting.answers import measured
from models.forecasting.forecaster import HOUR, HourlySeries
from models.protocols import FloatArray

WEEK = 168
_MOST = 12 * WEEK


@dataclass(frozen=True, slots=True)
class Profile:
    """For each hour of the week, the median entity and the spread over entities."""

    point: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    entities: int

    def at(self, start: int, step: int, horizon: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        places = _hours(start, step, horizon)
        point, lower, upper = (np.array(each) for each in (self.point, self.lower, self.upper))
        return point[places], lower[places], upper[places]

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        rows = {key: tuple(document[key]) for key in ("point", "lower", "upper")}
        return cls(**document | rows)


NOTHING = Profile((0.0,) * WEEK, (0.0,) * WEEK, (0.0,) * WEEK, 0)
"""Before anything was seen."""


def typical_profile(series: Sequence[HourlySeries], level: float) -> Profile:
    """Learn it from every hourly series that was measured at all."""
    weeks = [_mean_week(each) for each in series if each.step == HOUR]
    whole = [week for week in weeks if np.isfinite(week).all()]
    if not whole:
        return NOTHING
    ends = (0.5, (1 - level) / 2, (1 + level) / 2)
    point, lower, upper = np.quantile(np.stack(whole), ends, axis=0).tolist()
    return Profile(tuple(point), tuple(lower), tuple(upper), len(whole))


def _mean_week(series: HourlySeries) -> FloatArray:
    """Average each hour of the week; where it was never measured, the mean of all."""
    values = measured(series, _MOST)
    there = ~np.isnan(values)
    places = _hours(series.end - HOUR * values.size, HOUR, values.size)[there]
    if places.size == 0:
        return np.full(WEEK, np.nan)
    sums = np.bincount(places, values[there], WEEK)
    counts = np.bincount(places, minlength=WEEK)
    mean = np.mean(values[there])
    week: FloatArray = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    return week


def _hours(start: int, step: int, size: int) -> Any:
    return (start + step * np.arange(size, dtype=np.int64)) // HOUR % WEEK
