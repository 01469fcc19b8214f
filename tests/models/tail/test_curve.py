from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit

from models.errors import CalibrationError
from models.tail.curve import LEVELS, Tails, exceedance, fitted_tails, ordered

RAW = arrays(np.float32, (7, len(LEVELS)), elements=st.floats(-20, 20, width=32))
TAILS = Tails(lower=4.0, upper=2.5)


def test_a_log_logistic_law_is_read_exactly_near_and_far() -> None:
    # Its log-odds are a straight line in log latency, so nothing is lost between levels or beyond.
    centre, index = 1.3, 3.0
    curve = (centre + logit(np.array(LEVELS)) / index)[None, :]
    thresholds = np.linspace(-5, 8, 400)
    found = exceedance(np.repeat(curve, 400, axis=0), thresholds, Tails(index, index))
    np.testing.assert_allclose(found, expit(-index * (thresholds - centre)), rtol=1e-9)


@given(RAW, st.floats(-25, 25))
def test_between_levels_it_is_what_numpy_interpolates(raw: Any, threshold: float) -> None:
    curve = ordered(raw)
    found = exceedance(curve, np.full(len(curve), threshold), TAILS)
    for row, probability in zip(curve, found, strict=True):
        if row[0] <= threshold <= row[-1]:
            assert probability == pytest.approx(
                expit(-np.interp(threshold, row, logit(np.array(LEVELS)))), rel=1e-7
            )


@given(RAW)
def test_at_a_quantile_the_rest_lies_beyond(raw: Any) -> None:
    curve = ordered(raw)
    for index, level in enumerate(LEVELS):
        np.testing.assert_allclose(exceedance(curve, curve[:, index], TAILS), 1 - level, rtol=1e-6)


@given(RAW, st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_it_never_rises_with_the_threshold_and_is_never_certain(
    raw: Any, thresholds: list[float]
) -> None:
    curve = np.repeat(ordered(raw)[:1], len(thresholds), axis=0)
    found = exceedance(curve, np.array(sorted(thresholds)), TAILS)
    assert (np.diff(found) <= 0).all()
    assert ((found > 0) & (found < 1)).all()


@given(RAW, arrays(np.float32, (7, len(LEVELS)), elements=st.floats(0, 5, width=32)))
def test_longer_latencies_are_never_breached_less(raw: Any, longer: Any) -> None:
    for threshold in (-30.0, -1.0, 0.0, 2.0, 30.0):
        at = np.full(len(raw), threshold)
        shorter = exceedance(ordered(raw), at, TAILS)
        assert (exceedance(ordered(raw + longer), at, TAILS) >= shorter - 1e-12).all()


@given(RAW)
def test_ordering_keeps_what_is_in_order_and_parts_what_is_not(raw: Any) -> None:
    curve = ordered(raw)
    assert (np.diff(curve, axis=1) > 0.99e-4).all()
    np.testing.assert_allclose(curve, np.sort(raw, axis=1), atol=5e-4)


def test_hill_finds_the_index_of_a_pareto_tail() -> None:
    rng = np.random.default_rng(3)
    truth = np.log(rng.pareto(3.0, (40_000, 8)) + 1)  # survival e^(-3 t): every quantile is known
    quantiles = -np.log1p(-np.array(LEVELS)) / 3.0
    tails = fitted_tails(np.repeat(quantiles[None, :], len(truth), axis=0), truth)
    assert tails.upper == pytest.approx(3.0, rel=0.05)


def test_too_few_far_requests_are_refused() -> None:
    curve = np.zeros((5, len(LEVELS)))
    with pytest.raises(CalibrationError, match="requests are beyond the outer quantiles"):
        fitted_tails(curve, np.zeros((5, 8)))
