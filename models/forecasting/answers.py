"""From one answer a series to the forecast of a whole batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.forecasting.forecaster import Forecast, HourlySeries
from models.protocols import FloatArray

DRIVERS = ("trend", "seasonality", "holidays")


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
    """Take the latest `most` values, those that are not finite as gaps."""
    values = np.asarray(series.values[-most:], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def known_ahead(
    series: HourlySeries, names: Sequence[str], horizon: int
) -> Mapping[str, FloatArray] | None:
    """Give the named columns for the hours to come; None when one is missing, short or not finite.
    """
    now = len(series.values)
    if not names:
        return {}
    if len(series.known) < now + horizon or not set(names) <= set(series.names):
        return None
    columns = {
        name: np.asarray(series.known[now : now + horizon, series.names.index(name)], np.float64)
        for name in names
    }
    return columns if all(np.isfinite(each).all() for each in columns.values()) else None


def _rows(arrays: Sequence[FloatArray], horizon: int) -> FloatArray:
    return np.stack(arrays) if arrays else np.zeros((0, horizon))
