"""Workers for an entity whose telemetry is too short to know what one of its workers carries.

The rule of horizontal autoscalers (Kubernetes: desired = current x metric / target): the workers
that it has, times how far processors, or p99, are from their targets, times the growth foreseen.
Where even the workers are unknown, the middle one of the other entities' workers lends its rate.
"""

import numpy as np

from models.forecasting.plan.correction import Moment
from models.protocols import FloatArray

GROWTH = 1.25
"""Foreseen where there is no forecast."""
TARGET_CPU = 0.7
"""Where the request has none."""
MOST_BY_P99 = 2.0


def foreseen(upper: FloatArray, now: Moment) -> FloatArray:
    """Give the rates to carry (n, h); GROWTH over the present one where no forecast says."""
    present = now.ingest_rate[:, None]
    return np.where(np.isnan(upper), GROWTH * present, upper)


def workers(
    rate: FloatArray, now: Moment, target_p99: FloatArray, target_cpu: FloatArray, lent: float
) -> FloatArray:
    """Give the workers, not yet whole, that the rates (n, h) need."""
    by_cpu = now.cpu / np.where(np.isnan(target_cpu), TARGET_CPU, target_cpu)
    by_p99 = np.minimum(now.p99 / target_p99, MOST_BY_P99)
    pressure = np.fmax(by_cpu, by_p99)
    pressure = np.where(np.isnan(pressure), 1.0, pressure)
    # Where nothing was expected of now, growth cannot be told from the entity's usual size.
    growth = np.fmax(rate / now.expected_rate[:, None], 1.0)
    growth = np.where(np.isnan(now.expected_rate)[:, None], GROWTH, growth)
    needed = (now.active_workers * pressure)[:, None] * growth
    return np.where(np.isnan(needed), rate / lent, needed)
