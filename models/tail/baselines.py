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

    Wants the columns entity, ts, p50_ms and request_rate. An entity without traffic has none.
    """
    found, idle = {}, []
    for entity in np.unique(columns["entity"]):
        rows = columns["entity"] == entity
        ts, p50, rate = (columns[name][rows] for name in ("ts", "p50_ms", "request_rate"))
        recent = ts > ts.max() - TRAILING_DAYS * _DAY
        baseline = _baseline(p50[recent], rate[recent])
        if baseline is None:
            idle.append(str(entity))
        else:
            found[str(entity)] = baseline
    if idle and not found:
        raise TrainingDataError(f"entity {idle[0]!r} has no traffic for a baseline, nor any other")
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
            _fill(columns, (ms, rate), rows[today], rows[before])
    return ms, rate


def growing_baselines(columns: Columns, since: int, block: int) -> tuple[FloatArray, FloatArray]:
    """Give each row what was normal before its block of seconds began, for a short history.

    As a young platform is served: by all that there is so far, up to the trailing days. NaN before
    `since`, by when some history is there.
    """
    ms, rate = np.full(len(columns["ts"]), np.nan), np.full(len(columns["ts"]), np.nan)
    for entity in np.unique(columns["entity"]):
        rows = np.flatnonzero(columns["entity"] == entity)
        rows = rows[np.argsort(columns["ts"][rows], kind="stable")]
        ts = columns["ts"][rows]
        starts = np.arange(since, ts[-1] + 1, block)
        edges = [
            np.searchsorted(ts, edge)
            for edge in (starts - TRAILING_DAYS * _DAY, starts, starts + block)
        ]
        for first, now, end in zip(*edges, strict=True):
            if first < now < end:
                _fill(columns, (ms, rate), rows[now:end], rows[first:now])
    return ms, rate


def _fill(
    columns: Columns, into: tuple[FloatArray, FloatArray], rows: IntArray, history: IntArray
) -> None:
    """Give rows the baseline of a history; they keep NaN where that had no traffic."""
    baseline = _baseline(columns["p50_ms"][history], columns["request_rate"][history])
    if baseline is not None:
        for column, value in zip(into, baseline, strict=True):
            column[rows] = value


def _days(ts: IntArray) -> list[tuple[slice, slice]]:
    """Find, from the eighth day on, the rows of each day and those of the week before it."""
    day = ts // _DAY
    starts = np.arange(day[0] + TRAILING_DAYS, day[-1] + 1)
    edges = [np.searchsorted(day, starts + shift) for shift in (-TRAILING_DAYS, 0, 1)]
    return [(slice(b, c), slice(a, b)) for a, b, c in zip(*edges, strict=True) if a < b < c]


def _baseline(p50_ms: FloatArray, request_rate: FloatArray) -> Baseline | None:
    """Take the baseline; None where there was no traffic."""
    if not np.isfinite(p50_ms).any():
        return None
    found = Baseline(float(np.nanmedian(p50_ms)), _rate_of_median_request(request_rate))
    return found if min(found) > 0 else None


def _rate_of_median_request(rate: FloatArray) -> float:
    risen = np.sort(rate[np.isfinite(rate)])
    arrived = np.cumsum(risen)
    return float(risen[np.searchsorted(arrived, arrived[-1] / 2)]) if risen.size else 0.0
