"""A healthy batch to spoil."""

from collections.abc import Callable

import numpy as np
import pytest

from safety.arrays import FloatArray
from safety.policy import FamilyPolicy
from safety.tail import tail_policy

Columns = dict[str, FloatArray]

HEALTHY = {
    "load": 0.5,
    "infra": 0.4,
    "request_rate": 1200.0,
    "error_rate": 0.002,
    "active_workers": 10.0,
    "slo_ms": 250.0,
    "baseline_ms": 20.0,
    "p50_pred": 21.0,
    "p95_pred": 70.0,
    "p99_pred": 130.0,
    "p999_pred": 310.0,
    "lower": 90.0,
    "upper": 200.0,
    "breach_probability": 0.08,
    "action": 0.0,
    "autoscale_workers": 12.0,
    "admit_fraction": 1.0,
}


@pytest.fixture
def policy() -> FamilyPolicy:
    return tail_policy()


@pytest.fixture
def healthy() -> Callable[..., Columns]:
    """Make n healthy rows, with some fields set to something else in all of them."""

    def rows(n: int = 1, **spoiled: float) -> Columns:
        values = HEALTHY | spoiled
        return {field: np.full(n, value) for field, value in values.items()}

    return rows
