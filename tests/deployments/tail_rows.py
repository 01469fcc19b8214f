"""Rows of the tail family such as clients send, some of them far beyond the ordinary."""

import numpy as np

from deployments.runtime.batch import Columns


def tail_rows(n: int, seed: int) -> Columns:
    """Every column that the model takes."""
    draw = np.random.default_rng(seed)
    return {
        "load": draw.uniform(0, 1.6, n),
        "infra": draw.uniform(0, 1, n),
        "request_rate": draw.uniform(0, 9_000, n),
        "error_rate": draw.beta(1, 50, n),
        "active_workers": draw.integers(1, 60, n).astype(np.float64),
        "baseline_ms": draw.lognormal(2, 2, n),
        "baseline_rate": draw.uniform(100, 1_000, n),
        "slo_ms": draw.lognormal(3, 2, n),
    }


def taken(columns: Columns, rows: slice | list[int]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}
