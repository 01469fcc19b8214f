"""The known columns of a series: which say anything, and their values about the present."""

from collections.abc import Sequence

import numpy as np

from models.forecasting.forecaster import HourlySeries
from models.protocols import FloatArray


def telling(series: HourlySeries, past: int) -> tuple[tuple[str, ...], FloatArray]:
    """Take the columns that changed in the latest `past` values, and were finite all through.

    A column that never changed taught nothing: what it does when it changes is not known.
    """
    now = len(series.values)
    history = np.asarray(series.known[max(now - past, 0) : now], np.float64)
    if len(history) < past or past == 0:
        return (), np.zeros((past, 0))
    fine = np.isfinite(history).all(axis=0) & (np.ptp(history, axis=0) > 0)
    names = tuple(name for name, each in zip(series.names, fine, strict=True) if each)
    return names, history[:, fine]


def known_about(
    series: HourlySeries, names: Sequence[str], past: int, ahead: int
) -> FloatArray | None:
    """Give the named columns, a row for each of the latest `past` values and those to come.

    None when a column is missing, too short or not finite.
    """
    if not names:
        return np.zeros((past + ahead, 0))
    now = len(series.values)
    if now < past or len(series.known) < now + ahead or not set(names) <= set(series.names):
        return None
    places = [series.names.index(name) for name in names]
    rows = np.asarray(series.known[now - past : now + ahead][:, places], np.float64)
    return rows if np.isfinite(rows).all() else None
