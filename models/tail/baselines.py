"""What is normal for each entity: the scale that its latencies and rates are measured in."""

from typing import NamedTuple

import numpy as np

from models.errors import TrainingDataError
from models.protocols import Columns, FloatArray, IntArray

TRAILING_DAYS = 7
"""A whole week, so that every baseline has the same share of weekends."""

_DAY = 86_400


class Baseline(NamedTuple):
    baseline_ms: float
    """Median over the trailing days of the minute's median latency."""
    baseline_rate: float
    """The rate at which the median request of those days arrived: nights hardly count."""


def entity_baselines(columns: Columns) -> dict[str, Baseline]:
    """Take each entity's baseline at the end of its history.

    Wants the columns entity, ts, p50_ms and request_rate.
    """
    found = {}
    for entity in np.unique(columns["entity"]):
        rows = columns["entity"] == entity
        ts, p50, rate = (columns[name][rows] for name in ("ts", "p50_ms", "request_rate"))
        recent = ts > ts.max() - TRAILING_DAYS * _DAY
        found[str(entity)] = _baseline(str(entity), p50[recent], rate[recent])
    return found


def trailing_baselines(columns: Columns) -> tuple[FloatArray, FloatArray]:
    """Give each row its entity's baseline when its day began; NaN in the first days.

    Deploys move a service's normal latency for good, so a model must learn from what was normal
    then, as it will be asked with what is normal now.
    """
    ms, rate = np.full(len(columns["ts"]), np.nan), np.full(len(columns["ts"]), np.nan)
    for entity in np.unique(columns["entity"]):
        rows = np.flatnonzero(columns["entity"] == entity)
        rows = rows[np.argsort(columns["ts"][rows], kind="stable")]
        for today, before in _days(columns["ts"][rows]):
            history = rows[before]
            ms[rows[today]], rate[rows[today]] = _baseline(
                str(entity), columns["p50_ms"][history], columns["request_rate"][history]
            )
    return ms, rate


def _days(ts: IntArray) -> list[tuple[slice, slice]]:
    """Find, from the eighth day on, the rows of each day and those of the week before it."""
    day = ts // _DAY
    starts = np.arange(day[0] + TRAILING_DAYS, day[-1] + 1)
    edges = [np.searchsorted(day, starts + shift) for shift in (-TRAILING_DAYS, 0, 1)]
    return [(slice(b, c), slice(a, b)) for a, b, c in zip(*edges, strict=True) if a < b < c]


def _baseline(entity: str, p50_ms: FloatArray, request_rate: FloatArray) -> Baseline:
    found = Baseline(float(np.nanmedian(p50_ms)), _rate_of_median_request(request_rate))
    if not min(found) > 0:
        raise TrainingDataError(f"entity {entity!r} has no traffic for a baseline: {found}")
    return found


def _rate_of_median_request(rate: FloatArray) -> float:
    risen = np.sort(rate[np.isfinite(rate)])
    arrived = np.cumsum(risen)
    return float(risen[np.searchsorted(arrived, arrived[-1] / 2)]) if risen.size else 0.0
