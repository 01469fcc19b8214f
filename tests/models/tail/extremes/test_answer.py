"""A batch of questions about extreme events: bits, bad input, words."""

import math
import pickle
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from models.errors import TrainingDataError
from models.tail.extremes.answer import TailAnswer, TailQuestion, answer_tails
from tests.drawing import many_of
from tests.models.tail.extremes.one_sample import excesses_above_quantile, fit_gpd

Bits = Callable[[Any], Any]


def ask(values: Any, **changes: Any) -> TailAnswer:
    found = answer_tails([TailQuestion(values, **changes)])[0]
    assert isinstance(found, TailAnswer), found
    return found


def series(size: int = 2_000, seed: int = 1) -> Any:
    return np.random.default_rng(seed).standard_t(4, size)


@given(seeds=st.lists(st.integers(0, 10_000), min_size=2, max_size=8))
@settings(max_examples=20, deadline=None)
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(seeds: list[int]) -> None:
    questions = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        size = int(rng.integers(1, 3_000))  # some of them too short
        questions.append(
            TailQuestion(
                rng.pareto(rng.uniform(1, 9), size),
                threshold_quantile=float(rng.choice([0.9, 0.95, 0.98])),
                confidence=float(rng.choice([0.8, 0.95, 0.99])),
                return_periods=tuple(rng.uniform(50, 5_000, rng.integers(0, 4)).tolist()),
                dependent=bool(rng.integers(2)),
            )
        )
    for question, together in zip(questions, answer_tails(questions), strict=True):
        alone = answer_tails([question])[0]
        if isinstance(alone, TrainingDataError):
            assert str(alone) == str(together)
        else:
            assert bits_of(alone) == bits_of(together)


def bits_of(answer: Any) -> bytes:
    return pickle.dumps(answer)


def test_an_answer_survives_pickling(bits: Bits) -> None:
    answer = ask(series())
    assert bits(pickle.loads(pickle.dumps(answer))) == bits(answer)  # noqa: S301  our own bytes


def test_it_says_what_the_fit_says() -> None:
    values = series()
    answer = ask(values, judged=6.0)
    fit = fit_gpd(excesses_above_quantile(values, 0.95))
    law = stats.genpareto(fit.shape, loc=fit.sample.threshold, scale=fit.scale)
    rate = fit.sample.excess.size / fit.sample.observed
    assert answer.shape.value == fit.shape
    assert answer.scale.value == pytest.approx(fit.scale)
    assert answer.is_extreme
    assert answer.exceedance_probability.value == pytest.approx(rate * law.sf(6.0))
    for level, found, beyond in zip(
        (0.99, 0.999), answer.value_at_risk, answer.conditional_value_at_risk, strict=True
    ):
        q = law.isf((1 - level) / rate)
        assert found.value == pytest.approx(q)
        mean = (q + fit.scale - fit.shape * fit.sample.threshold) / (1 - fit.shape)
        assert beyond.value == pytest.approx(mean)
    assert answer.return_levels[1].value == pytest.approx(law.isf(1 / 1_000 / rate))
    assert answer.extremal_index == 1.0
    assert answer.notes == ()


def test_the_latest_value_is_judged_and_below_the_threshold_counted() -> None:
    values = np.append(series(), 0.5)
    answer = ask(values)
    above = int(np.count_nonzero(values > 0.5))
    found, n = answer.exceedance_probability, values.size

    def deviance(rate: float) -> float:
        best = stats.binom.logpmf(above, n, above / n)
        return float(2 * (best - stats.binom.logpmf(above, n, rate)) - stats.chi2.ppf(0.95, 1))

    assert (answer.judged, answer.is_extreme) == (0.5, False)
    assert found.value == pytest.approx(above / n)
    assert found.lower == pytest.approx(optimize.brentq(deviance, 0.01, above / n), rel=1e-5)
    assert found.upper == pytest.approx(optimize.brentq(deviance, above / n, 0.99), rel=1e-5)
    lowest = ask(values, judged=-1e9).exceedance_probability
    assert (lowest.value, lowest.upper) == (1.0, 1.0)
    assert lowest.lower == pytest.approx(math.exp(-stats.chi2.ppf(0.95, 1) / (2 * n)))


def test_clusters_are_thinned_when_the_question_says_so() -> None:
    values = np.repeat(series(3_000), 3)
    plain, thinned = ask(values), ask(values, dependent=True)
    assert thinned.extremal_index == pytest.approx(1 / 3, abs=0.1)
    width, wider = (a.shape.upper - a.shape.lower for a in (plain, thinned))
    assert wider > 1.4 * width
    at_risk = [a.value_at_risk[1].value for a in (plain, thinned)]
    assert at_risk[1] == pytest.approx(at_risk[0], rel=0.1)
    assert thinned.return_levels[1].value < plain.return_levels[1].value


def test_without_a_quantile_the_threshold_is_chosen() -> None:
    values = stats.genpareto.rvs(0.1, size=3_000, random_state=2)
    answer = ask(values, threshold_quantile=None)
    assert answer.fit.sample.threshold == pytest.approx(np.quantile(values, 0.86))


def test_gaps_are_left_out() -> None:
    values = series()
    gappy = np.insert(values, [3, 1_000, 1_999], math.nan)
    assert bits_of(ask(gappy).return_levels) == bits_of(ask(values).return_levels)


def test_a_million_values_are_answered() -> None:
    answer = ask(series(1_000_000))
    assert answer.shape.lower < 0.25 < answer.shape.upper + 0.1
    assert answer.shape.upper - answer.shape.lower < 0.03


@pytest.mark.parametrize("quantile", [0.01, 0.95, None])
def test_a_million_values_take_less_than_some_seconds(quantile: float | None) -> None:
    values = series(1_000_000)
    ask(series(), threshold_quantile=quantile)  # what is compiled is compiled
    began = time.process_time()
    ask(values, threshold_quantile=quantile)
    assert time.process_time() - began < 3  # .65 s where nothing else runs


def test_numbers_on_the_wrong_scale_are_refused_with_what_to_give_instead() -> None:
    rng = np.random.default_rng(1)
    logs = rng.normal(size=2_000)
    far = np.append(rng.uniform(size=2_000), 1e90)
    questions = [np.exp(20 * logs), np.exp(60 * logs), far, logs]
    *refused, answer = answer_tails([TailQuestion(values) for values in questions])
    for refusal in refused:
        assert isinstance(refusal, TrainingDataError)
        assert "send their logarithms" in str(refusal)
    assert isinstance(answer, TailAnswer)


def anywhere(seed: int) -> Any:
    """Give distinct numbers of all sizes and both signs."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 1.0], 450) * 10.0 ** rng.uniform(-300, 308, 450)


@given(
    values=st.lists(st.floats() | st.integers(-3, 3), max_size=60)
    | many_of(st.floats(-1e308, 1e308), 400, 500)
    | st.integers(0, 2**32 - 1).map(anywhere)
    | many_of(st.sampled_from([0.0, 1.0, 1e99, -1e99, 1e-99, math.nan]), 400, 420),
    quantile=st.none() | st.floats(0, 1),
    judged=st.none() | st.floats(),
    dependent=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_answered_or_refused_in_words(
    values: Any, quantile: float | None, judged: float | None, *, dependent: bool
) -> None:
    question = TailQuestion(values, quantile, judged=judged, dependent=dependent)
    (answer,) = answer_tails([question])
    assert isinstance(answer, TailAnswer) or str(answer)


@pytest.mark.parametrize(
    "values",
    [
        1e308 * np.random.default_rng(1).uniform(size=2_000),
        np.append(np.random.default_rng(1).uniform(size=2_000), 1e308),
        np.append(np.random.default_rng(1).uniform(size=2_000), -math.inf),
    ],
)
def test_numbers_near_the_end_of_floats_are_refused(values: Any) -> None:
    (answer,) = answer_tails([TailQuestion(values)])
    assert isinstance(answer, TrainingDataError)
    assert "leave it out" in str(answer)


def test_one_row_that_cannot_be_answered_leaves_the_others_be() -> None:
    bad: list[Any] = [[], [1.0], [2.0] * 900, series(100), [1.0, math.inf] * 400, [[1.0], [2.0]]]
    questions = [TailQuestion(series()), *map(TailQuestion, bad), TailQuestion(series())]
    questions.append(TailQuestion(series(), confidence=1.0))
    questions.append(TailQuestion(series(), threshold_quantile=0.0))
    questions.append(TailQuestion(series(), levels=(1.5,)))
    questions.append(TailQuestion(series(), return_periods=(0.0,)))
    questions.append(TailQuestion(series(), judged=math.inf))
    first, *refused = answer_tails(questions)
    assert isinstance(first, TailAnswer)
    assert bits_of(refused.pop(len(bad))) == bits_of(first)
    assert all(isinstance(answer, TrainingDataError) for answer in refused)
    words = " | ".join(map(str, refused))
    for said in ("no value", "constant", "exceed", "infinite", "confidence", "quantile", "level"):
        assert said in words


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        (series(600), {}, "only 30 peaks"),
        (np.random.default_rng(1).uniform(size=2_000), {}, "approximate"),
        (series(), {"levels": (0.9,)}, "below the threshold"),
        (1 / np.random.default_rng(1).uniform(size=1_500), {}, "infinite"),
    ],
)
def test_what_a_reader_must_know_is_said(values: Any, changes: Any, said: str) -> None:
    assert any(said in note for note in ask(values, **changes).notes)


def test_no_questions_have_no_answers() -> None:
    assert answer_tails([]) == []
