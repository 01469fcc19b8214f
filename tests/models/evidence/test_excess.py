"""How much worse a candidate may be: in step with the verdicts, and true at all looks at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from models.evidence.bets import two_arms
from models.evidence.excess import excess_of
from models.evidence.margins import Design, Margins, Mean, Metric, Quantile, Rate
from models.evidence.metric_test import MetricTest
from models.evidence.quantiles import ArmsQuantile
from models.evidence.rates import ArmsRate, PairsRate
from models.evidence.slices import slices_of
from models.evidence.verdict import Interval
from tests.models.evidence.test_quantiles import P90, arms, drawn

NOTHING: tuple[Interval, Interval] = ((None, None), (None, None))
NEEDED = np.log(200.0), np.log(20.0)
ERRORS = Rate(name="errors", margin=0.05)
LOSS = Mean(name="loss", margin=0.1)
COUNTS = st.tuples(*[st.integers(0, 1500), st.integers(1500, 3000)] * 2)


def metric_test(metric: Metric, *, paired: bool = False) -> MetricTest:
    return MetricTest(metric, Margins(metrics=(metric,)), Design(paired=paired))


def add(test: MetricTest, one: np.ndarray, other: np.ndarray, *, paired: bool) -> None:
    if paired:
        test.add_pairs(one, other, None)
    else:
        candidate = np.arange(one.size) % 2 == 1
        slices = slices_of([str(at) for at in range(one.size)], candidate, 0.5)
        test.add_requests(candidate, np.where(candidate, other, one), slices, None)


@given(counts=COUNTS, share=st.sampled_from([0.05, 0.5]))
@settings(max_examples=40, deadline=None)
def test_a_rates_ends_are_the_first_that_are_refuted_of_all(
    counts: tuple[int, int, int, int], share: float
) -> None:
    test = ArmsRate(0.05, share)
    test.counts = np.array(counts, dtype=float).reshape(2, 2)
    excesses = [0.05 * (step / 10) for step in range(-20, 41)]
    evidence = [test.log_evidence_of(each) for each in excesses]
    above = [each for each, (bad, _) in zip(excesses, evidence, strict=True) if bad >= NEEDED[0]]
    below = [each for each, (_, good) in zip(excesses, evidence, strict=True) if good >= NEEDED[1]]
    found = excess_of(test, ERRORS, NEEDED, NOTHING)
    assert found == (max(above, default=None), min(below, default=None))
    assert test.log_evidence_of(0.05) == pytest.approx(test.log_evidence())


@pytest.mark.parametrize("excess", [-0.02, 0.0, 0.004, 0.3])
def test_the_evidence_of_an_excess_is_no_more_than_against_any_share(excess: float) -> None:
    incumbent, candidate = np.array([300.0, 2700.0]), np.array([500.0, 2500.0])
    test = ArmsRate(0.01, 0.5)
    test.counts = np.stack([incumbent, candidate])
    bad, good = test.log_evidence_of(excess)
    for theta in np.linspace(0.001, 0.999, 300):
        if 0 < theta + excess < 1:
            exact = two_arms(theta, theta + excess, 0.5)
            assert bad <= exact.log_wealth(np.concatenate([incumbent, candidate])) + 1e-9
            exact = two_arms(theta + excess, theta, 0.5)
            assert good <= exact.log_wealth(np.concatenate([candidate, incumbent])) + 1e-9


@pytest.mark.parametrize("steps", [-15, -3, 0, 4, 30])
def test_a_quantiles_evidence_of_another_factor_is_no_more_than_against_any_value(
    steps: int,
) -> None:
    one, other = drawn(1, 3000, 1.3)
    candidate = np.arange(3000) % 2 == 1
    a, b = one[~candidate], other[candidate]
    bad, good = arms(one, other, candidate).log_evidence_of(steps)
    factor, bank = 1.1 ** (1 + steps / 10), two_arms(0.1, 0.1, 0.5)
    for q in np.concatenate([np.geomspace(0.5, 200, 101), np.quantile(one, [0.8, 0.9, 0.95])]):
        x, y = (a >= q).sum(), (b > factor * q).sum()
        counts = np.array([x, a.size - x, y, b.size - y], dtype=float)
        assert bad <= bank.log_wealth(counts) + 1e-9
        x = (a > q).sum()
        counts = np.array([y, b.size - y, x, a.size - x], dtype=float)
        assert good <= bank.log_wealth(counts) + 1e-9


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    "metric", [ERRORS, Quantile(name="p", p=0.9, margin=0.2, low=0.1, high=1e4), LOSS]
)
@pytest.mark.parametrize("worse", [0.0, 1.0, 4.0])
def test_the_margin_is_left_out_where_its_test_has_its_evidence(
    metric: Metric, worse: float, paired: bool
) -> None:
    rng, test, margin = np.random.default_rng(5), metric_test(metric, paired=paired), metric.margin
    assert test.excess() == (None, None)
    for _ in range(12):
        draw = rng.random((2, 500))
        if isinstance(metric, Rate):
            one, other = (draw < np.array([[0.05], [0.05 + worse * margin]])).astype(float)
        elif isinstance(metric, Mean):
            one, other = 0.6 * draw + np.array([[0.0], [worse * margin]])
        else:
            one, other = np.exp(3 + draw) * np.array([[1.0], [(1 + margin) ** worse]])
        add(test, one, other, paired=paired)
        evidence, (lower, upper) = test.look(np.inf).evidence, test.excess()
        ends = -np.inf if lower is None else lower, np.inf if upper is None else upper
        assert ends[0] <= ends[1]
        left_out = ends[0] >= margin, ends[1] <= margin
        if (paired and isinstance(metric, Quantile)) or isinstance(metric, Mean):
            # Read off the two arms, which may know it a little before the test does.
            assert left_out[0] or not evidence.is_bad
            assert left_out[1] or not evidence.is_good
        else:
            assert left_out == (evidence.is_bad, evidence.is_good)
    assert (evidence.is_bad, evidence.is_good) == (worse == 4.0, worse == 0.0)


@pytest.mark.parametrize("paired", [False, True])
def test_the_true_excess_is_in_it_at_all_looks(paired: bool) -> None:
    rng, runs, missed = np.random.default_rng(11), 60, np.zeros(2)
    margins = Margins(metrics=(ERRORS, P90), alpha=0.1)
    for _ in range(runs):
        tests = [MetricTest(each, margins, Design(paired=paired)) for each in margins.metrics]
        out = np.zeros(2, dtype=bool)
        for _ in range(10):
            errors = (rng.random((2, 100)) < np.array([[0.1], [0.14]])).astype(float)
            latency = np.exp(2 + 0.4 * rng.standard_normal((2, 100))) * np.array([[1.0], [1.06]])
            for at, (values, truth) in enumerate(((errors, 0.04), (latency, 0.06))):
                add(tests[at], *values, paired=paired)
                tests[at].look(np.inf)
                lower, upper = tests[at].excess()
                out[at] |= lower is not None and lower > truth
                out[at] |= upper is not None and upper < truth
        missed += out
    for count in missed:
        # One side has alpha / m, the other alpha.
        assert binomtest(int(count), runs, 0.15, alternative="greater").pvalue > 0.001


def test_a_difference_of_pairs_is_known_better_than_that_of_arms() -> None:
    rng = np.random.default_rng(3)
    one = (rng.random(4000) < 0.1).astype(float)
    pairs, apart = PairsRate(0.05), ArmsRate(0.05, 0.5)
    pairs.add(one, one, np.ones(4000))
    apart.add(np.arange(4000) % 2 == 1, one, np.ones(4000))
    of_pairs, of_arms = (excess_of(each, ERRORS, NEEDED, NOTHING) for each in (pairs, apart))
    assert None not in (*of_pairs, *of_arms)
    assert of_arms[0] < of_pairs[0] <= 0 <= of_pairs[1] < of_arms[1]  # type: ignore[operator] # above


def test_what_is_beyond_the_thresholds_stays_beyond_them() -> None:
    test = ArmsQuantile(P90, 0.5)
    test.add(np.arange(4) % 2 == 1, np.array([1.0, 1e9, 1.0, 1e-9]), np.ones(4))
    for steps in (-20, 0, 20):
        moved = test._moved(steps)
        assert (moved[0], moved[-1], moved.sum()) == (1, 1, 2)
