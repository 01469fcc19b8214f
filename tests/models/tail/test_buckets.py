"""Quantiles within one bucket, as a second implementation of `histogram_quantile` gives them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tail.buckets import find_bucket, usual_buckets
from models.tail.requests import QUANTILES

BUCKETS = np.array([5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000.0])
"""Those of the client libraries, in ms."""


def histogram_quantile(latencies: Any, level: float, bounds: Any = BUCKETS) -> float:
    """Do as Prometheus does: evenly within the bucket where the level is reached."""
    counts = np.searchsorted(np.sort(latencies), bounds, side="right")
    rank = level * len(latencies)
    at = int(np.searchsorted(counts, rank, side="left"))
    begin, below = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0)
    return float(begin + (bounds[at] - begin) * (rank - below) / (counts[at] - below))


def quantiles(latencies: Any, *names: str) -> dict[str, float]:
    return {name: histogram_quantile(latencies, QUANTILES[name]) for name in names or QUANTILES}


def evenly(low: float, high: float, count: int = 997) -> Any:
    return np.geomspace(low, high, count)


@pytest.mark.parametrize(
    ("latencies", "begin", "end"),
    [
        (evenly(0.2, 0.9), 0.0, 5.0),
        (evenly(3.0, 4.9), 0.0, 5.0),
        (evenly(12.0, 20.0), 10.0, 25.0),
        (evenly(260.0, 300.0), 250.0, 500.0),
    ],
)
def test_the_bucket_is_found_that_all_requests_lie_in(
    latencies: Any, begin: float, end: float
) -> None:
    found = find_bucket(quantiles(latencies))
    assert found is not None
    assert found.begin == pytest.approx(begin, abs=1e-9)
    assert found.end == pytest.approx(end)


@given(st.integers(1, 90), st.sampled_from([0.5, 7.0, 60.0]), st.integers(200, 2_000))
def test_what_is_in_a_bucket_is_never_said_to_be_outside(
    beyond: int, fast: float, count: int
) -> None:
    """Some requests are slower, few enough that p50 and p95 are of the same bucket."""
    slow = count * beyond // 2_000
    latencies = np.concatenate([np.full(count - slow, fast), np.full(slow, 900.0)])
    found = find_bucket(quantiles(latencies, "p50_ms", "p95_ms", "p99_ms"))
    if found is not None:
        assert found.begin < fast < found.end
    else:  # of three quantiles one lies elsewhere, or of two that are left of the first bucket
        assert slow >= (0.05 if fast < BUCKETS[0] else 0.01) * count - 2


def test_two_quantiles_show_the_first_bucket_alone() -> None:
    assert find_bucket(quantiles(evenly(0.2, 0.9), "p50_ms", "p95_ms")) is not None
    assert find_bucket(quantiles(evenly(12, 20), "p50_ms", "p95_ms")) is None


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.61, 1.0])
def test_quantiles_that_are_measured_show_none(sigma: float) -> None:
    latencies = 2 * np.exp(sigma * np.random.default_rng(1).normal(size=5_000))
    measured = {name: float(np.quantile(latencies, level)) for name, level in QUANTILES.items()}
    assert find_bucket(measured) is None
    fine = np.geomspace(0.1, 20_000, 60)
    finely = {name: histogram_quantile(latencies, at, fine) for name, at in QUANTILES.items()}
    assert find_bucket(finely) is None
    assert find_bucket({"p50_ms": 2.0, "p95_ms": 3.81, "p99_ms": 3.96}) is None  # near a line
    assert find_bucket(dict.fromkeys(QUANTILES, 10_000.0)) is None  # all beyond the last bound


def intervals(rng: Any, **of_entity: float) -> dict[str, Any]:
    """Make an interval an hour of entities with these medians, in ms."""
    rows = [
        {"entity": name, **quantiles(median * np.exp(0.25 * rng.normal(size=400)))}
        for name, median in of_entity.items()
        for _ in range(50)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_only_entities_that_are_within_a_bucket_most_of_the_time_are_named() -> None:
    columns = intervals(np.random.default_rng(2), fast=0.4, between=9.0, slow=40.0)
    found = usual_buckets(columns)
    assert set(found) == {"fast"}
    assert found["fast"].begin == 0
    assert found["fast"].end == pytest.approx(5.0)
    fast = np.flatnonzero(columns["entity"] == "fast")
    columns["p95_ms"][fast[:20]] = 7.0
    assert set(usual_buckets(columns)) == {"fast"}
    columns["p95_ms"][fast[:25]] = 7.0
    assert usual_buckets(columns) == {}


def test_intervals_of_which_requests_were_sampled_are_measured() -> None:
    columns = intervals(np.random.default_rng(2), fast=0.4)
    columns["exemplars"] = np.full((50, 8), np.nan)
    assert set(usual_buckets(columns)) == {"fast"}
    columns["exemplars"][:40, 0] = 0.4
    assert usual_buckets(columns) == {}


def test_without_medians_nothing_is_said() -> None:
    columns = intervals(np.random.default_rng(2), fast=0.4)
    assert usual_buckets({"entity": columns["entity"]}) == {}
    assert usual_buckets(columns | {"p50_ms": np.full(50, np.nan)}) == {}
    assert find_bucket({"p95_ms": 4.75}) is None
