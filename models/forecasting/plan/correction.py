"""What the moment says of the hours to come: by how much load exceeds what was forecast for now.

Three witnesses, each as a factor on the rate expected for now:

    rate        the rate that arrives over the rate expected
    processors  the load at which a worker is usually this busy, over the load expected: requests
                that grew heavier make workers carry less, as more requests would
    p99         the same by p99, where it is over what is usual at the expected load; its word
                counts up to MOST_BY_P99 only, for latency has causes that no worker cures

The largest is believed, which errs on the side of room, and never takes back a worker when any of
the three rises. It fades as surprises do in the history: of its logarithm `persistence` to the
power of the hours ahead is left.
"""

from typing import NamedTuple

import numpy as np

from models.elementwise import exp, log
from models.forecasting.plan.curves import load_at
from models.protocols import FloatArray

MOST = 4.0
"""Further from the forecast the moment is not believed, up or down."""
MOST_BY_P99 = 1.5


class Moment(NamedTuple):
    """What each request says of now; NaN where it says nothing. Columns of one length."""

    ingest_rate: FloatArray
    cpu: FloatArray
    p99: FloatArray
    active_workers: FloatArray
    expected_rate: FloatArray
    """What the forecast has for now."""


def surprise(
    now: Moment, full: FloatArray, usual_p99: FloatArray, curves: tuple[FloatArray, FloatArray]
) -> FloatArray:
    """Give each row's factor, 1 where nothing is known; `curves` are log p99's and processors'."""
    log_p99, cpu = curves
    expected = now.expected_rate / now.active_workers / full
    by_rate = now.ingest_rate / now.expected_rate
    by_cpu = _load_at(cpu, now.cpu) / expected
    by_p99 = _load_at(log_p99, _log(now.p99 / usual_p99)) / expected
    most = np.fmax(by_rate, np.fmax(by_cpu, np.minimum(by_p99, MOST_BY_P99)))
    return np.where(np.isnan(most), 1.0, np.clip(most, 1 / MOST, MOST))


def ratio(rate: FloatArray, expected: FloatArray) -> FloatArray:
    """Give by which factor a rate differs from the one expected, 1 where nothing is known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = rate / expected
    return np.where(np.isfinite(found) & (found > 0), np.clip(found, 1 / MOST, MOST), 1.0)


def faded(factor: FloatArray, persistence: float, hours: int) -> FloatArray:
    """Give what is left of each factor in each hour ahead: (n, hours)."""
    return remaining(factor, np.array([persistence**ahead for ahead in range(1, hours + 1)]))


def remaining(factor: FloatArray, left: FloatArray) -> FloatArray:
    """Give factors (n,) to the power of the shares that are left, (hours,) or (n, hours)."""
    return exp(log(factor)[:, None] * left)


def _load_at(curve: FloatArray, target: FloatArray) -> FloatArray:
    said = ~np.isnan(target)
    return np.where(said, load_at(curve, np.where(said, target, 0.0)), np.nan)


def _log(values: FloatArray) -> FloatArray:
    positive = values > 0
    return np.where(positive, log(np.where(positive, values, 1.0)), np.nan)
