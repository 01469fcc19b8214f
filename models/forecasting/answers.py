"""From one answer a series to the forecast of a whole batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.forecasting.forecaster import Forecast, HourlySeries
from models.protocols import FloatArray

DRIVERS = ("trend", "seasonality", "holidays")
_LARGEST = 1e150


@dataclass(frozen=True, slots=True)
class Answer:
    """One series' hours ahead."""

    point: FloatArray
    lower: FloatArray
    upper: FloatArray
    drivers: Mapping[str, FloatArray] = field(default_factory=dict)
    """Empty, or each of DRIVERS."""
    basis: str = ""


def stacked(answers: Sequence[Answer | None], horizon: int, level: float) -> Forecast:
    """Put answers under one another; a series without one is a row of NaN."""
    missing = np.full(horizon, np.nan)
    rows = [each or Answer(missing, missing, missing, basis="no answer") for each in answers]
    explained = any(row.drivers for row in rows)
    drivers = {
        name: _rows([row.drivers.get(name, missing) for row in rows], horizon)
        for name in DRIVERS
        if explained
    }
    return Forecast(
        point=_rows([row.point for row in rows], horizon),
        lower=_rows([row.lower for row in rows], horizon),
        upper=_rows([row.upper for row in rows], horizon),
        level=level,
        drivers=drivers,
        basis=tuple(row.basis for row in rows),
    )


def measured(series: HourlySeries, most: int) -> FloatArray:
    """Take the latest `most` values; what is not finite, or has no finite square, is a gap."""
    values = np.asarray(series.values[-most:], dtype=np.float64)
    return np.where(np.abs(values) < _LARGEST, values, np.nan)


def _rows(arrays: Sequence[FloatArray], horizon: int) -> FloatArray:
    return np.stack(arrays) if arrays else np.zeros((0, horizon))
