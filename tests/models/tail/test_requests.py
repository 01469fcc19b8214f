"""Requests drawn from an interval's quantiles, against the law that made the quantiles."""

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri

from models.tail.requests import DRAWN, QUANTILES, requests_of

SIZE = 4_000


def quantiles_of(sigma: float, *names: str) -> dict[str, Any]:
    """Make intervals of a log-normal around 20 ms."""
    found: dict[str, Any] = {"ts": np.arange(SIZE) * 60}
    for name in names:
        found[name] = np.full(SIZE, 20 * np.exp(sigma * ndtri(QUANTILES[name])))
    return found


def drawn(columns: dict[str, Any], seed: int = 1) -> Any:
    return requests_of(columns, np.random.default_rng(seed)).latencies


@pytest.mark.parametrize("names", [("p50_ms", "p95_ms", "p99_ms"), tuple(QUANTILES)])
def test_the_known_quantiles_come_out_as_they_went_in(names: tuple[str, ...]) -> None:
    columns = quantiles_of(0.5, *names)
    latencies = drawn(columns)
    assert latencies.shape == (SIZE, DRAWN)
    for name in names:
        below = np.mean(latencies <= columns[name][0])
        assert below == pytest.approx(QUANTILES[name], abs=3 * np.sqrt(0.25 / SIZE / DRAWN) + 5e-4)


def test_far_ends_are_near_those_of_a_log_normal() -> None:
    """A line on these axes is a power law: far out it lies above the log-normal."""
    latencies = drawn(quantiles_of(0.5, "p50_ms", "p95_ms", "p99_ms"))
    assert np.log(np.quantile(latencies, 0.05) / 20) == pytest.approx(0.5 * ndtri(0.05), abs=0.03)
    far = np.log(np.quantile(latencies, 0.999) / 20)
    assert 0.5 * ndtri(0.999) < far < 0.5 * ndtri(0.999) + 0.3


def test_equal_generators_draw_equal_requests_and_others_do_not() -> None:
    columns = quantiles_of(0.5, "p50_ms", "p95_ms")
    assert np.array_equal(drawn(columns), drawn(columns))
    assert not np.array_equal(drawn(columns), drawn(columns, seed=2))


def test_exemplars_are_taken_as_they_are_and_others_drawn_beside_them() -> None:
    columns = quantiles_of(0.5, "p50_ms", "p95_ms")
    columns["exemplars"] = np.full((SIZE, DRAWN), np.nan)
    columns["exemplars"][:7] = 3.0
    requests = requests_of(columns, np.random.default_rng(1))
    assert requests.target == "both"
    assert (requests.latencies[:7] == 3.0).all()
    assert np.isfinite(requests.latencies).all()
    columns["exemplars"][:] = 3.0
    rng = np.random.default_rng(1)
    assert requests_of(columns, rng).target == "exemplars"
    assert rng.random() == np.random.default_rng(1).random()  # nothing was drawn


def test_an_interval_with_the_median_alone_or_without_it_says_nothing() -> None:
    columns = quantiles_of(0.5, "p50_ms", "p95_ms", "p99_ms")
    columns["p50_ms"][0] = np.nan
    columns["p95_ms"][1] = columns["p99_ms"][1] = np.nan
    columns["p99_ms"][2] = 0.0
    columns["p95_ms"][3] = 1.0  # below the median: estimates cross
    latencies = drawn(columns)
    assert np.isnan(latencies[:2]).all()
    assert np.isfinite(latencies[2:]).all()
    assert (latencies > 0)[2:].all()
    only_p50 = {name: columns[name] for name in ("ts", "p50_ms")}
    assert np.isnan(drawn(only_p50)).all()
