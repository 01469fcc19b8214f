"""The latency law against its distribution function and plain sampling, its tail by Hill."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm

from features.calendars.days import DAY
from features.sources.simulator.condition import Condition
from features.sources.simulator.latency import (
    LEVELS,
    LatencyLaw,
    exemplars,
    latency_law,
    published,
)
from features.sources.simulator.platform import Platform
from features.sources.simulator.queueing import waiting
from features.sources.simulator.services import DEFAULT_SERVICES
from features.telemetry.columns import Floats

MONDAY = 1_772_409_600  # 2026-03-02 00:00 UTC


def law(minutes: int, scale: float = 10.0, sigma: float = 0.45, tail: float = 3.0) -> LatencyLaw:
    return LatencyLaw(*(np.full(minutes, value) for value in (scale, sigma, tail)))


def splice(sigma: float, tail: float) -> float:
    """Where the normal hazard equals sigma x tail, by bisection and not by table."""
    low, high = -6.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        below = norm.pdf(middle) / norm.sf(middle) < sigma * tail
        low, high = (middle, high) if below else (low, middle)
    return low


def share_below(x: Floats, scale: float, sigma: float, tail: float) -> Floats:
    z0 = splice(sigma, tail)
    edge = scale * np.exp(sigma * z0)
    body = norm.cdf(np.log(x / scale) / sigma)
    share: Floats = np.where(
        x <= edge, body, 1 - norm.sf(z0) * (np.maximum(x, edge) / edge) ** -tail
    )
    return share


@given(
    u=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=20),
    sigma=st.floats(0.3, 0.7),
    tail=st.floats(2.1, 4.0),
)
def test_quantile_inverts_the_distribution_function(
    u: list[float], sigma: float, tail: float
) -> None:
    latencies = law(1, sigma=sigma, tail=tail).quantile(np.array([u]))[0]
    np.testing.assert_allclose(share_below(latencies, 10.0, sigma, tail), u, atol=1e-4)


def test_body_and_tail_meet_with_equal_density() -> None:
    edge = 10.0 * np.exp(0.45 * splice(0.45, 3.0))
    step = 1e-4
    below, at, above = share_below(edge + np.array([-step, 0.0, step]), 10.0, 0.45, 3.0)
    assert (at - below) == pytest.approx(above - at, rel=1e-3)


@pytest.mark.parametrize("n", [1, 7, 40, 1000])
def test_published_quantiles_are_those_of_that_many_requests(n: int) -> None:
    rng, minutes = np.random.default_rng(2), 3000
    shown = published(law(minutes), np.full(minutes, float(n)), rng)
    drawn = np.sort(law(minutes).quantile(rng.random((minutes, n))), axis=1)
    for at, level in enumerate(LEVELS):
        expected = drawn[:, int(np.ceil(n * level)) - 1]
        assert ks_2samp(shown[:, at], expected).pvalue > 1e-4


def hill(values: Floats, share: float) -> float:
    """Hill's estimate of the Pareto index from the largest share of the values."""
    largest = np.sort(values)[-int(len(values) * share) :]
    return float(1 / np.mean(np.log(largest[1:] / largest[0])))


@pytest.mark.parametrize("tail", [2.5, 3.0, 4.0])
def test_the_tail_has_the_index_it_was_given(tail: float) -> None:
    drawn = exemplars(law(25_000, tail=tail), np.random.default_rng(3)).ravel()
    assert hill(drawn, 0.02) == pytest.approx(tail, rel=0.1)


@pytest.mark.parametrize("entity", ["order-gateway", "settlement", "client-portal", "default"])
def test_exemplars_of_quiet_minutes_have_a_heavy_tail(entity: str) -> None:
    minutes = Platform(2).minutes(entity, MONDAY, MONDAY + 30 * DAY)
    quiet = minutes.rows(
        (minutes.incident == "") & (minutes.load < 0.7) & (minutes.request_rate > 5)
    )
    assert 2.4 < hill((quiet.exemplars / quiet.p50_ms[:, None]).ravel(), 0.02) < 4


def test_incidents_fatten_the_tail() -> None:
    calm = Condition(*(np.array([v]) for v in (0.4, 0.2, 0.4, 0.4, 3e-4)))
    shift = np.zeros(1)
    service, one = DEFAULT_SERVICES[0], np.ones(1)
    usual = latency_law(service, calm, one, shift)
    for trouble in ({"load": 1.3}, {"infra": 0.9}, {"error_rate": 0.3}):
        state = replace(calm, **{name: np.array([value]) for name, value in trouble.items()})
        strained = latency_law(service, state, one, shift)
        assert strained.scale[0] > 1.5 * usual.scale[0], trouble
        assert 2 < strained.tail_index[0] < usual.tail_index[0], trouble


@pytest.mark.parametrize("entity", ["default", "matching-engine", "client-portal"])
def test_published_quantiles_cover_the_exemplars(entity: str) -> None:
    minutes = Platform(2).minutes(entity, MONDAY, MONDAY + 30 * DAY)
    busy = minutes.rows(minutes.request_rate > 20)
    for name, level in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        covered = (busy.exemplars <= busy.columns()[name][:, None]).mean()
        assert covered == pytest.approx(level, abs=4 * (level * (1 - level) / 1e5) ** 0.5 + 0.001)


def test_waiting_grows_smoothly_through_a_full_load_and_stays_bounded() -> None:
    load = np.linspace(0, 10, 10_001)
    wait = waiting(load)
    assert wait[0] == 0
    assert (np.diff(wait) > 0).all()
    assert np.diff(wait).max() < 0.05
    assert wait.max() < 25
    # Below 0.8 it is the textbook's rho^2 / (1 - rho) within a tenth.
    light = (load > 0) & (load < 0.8)
    textbook = 0.15 * load[light] ** 2 / (1 - load[light])
    np.testing.assert_allclose(wait[light], textbook, rtol=0.1)
