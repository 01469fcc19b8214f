"""The test by keys: exact for any draw of the keys, and blind to what keys are like."""

import json
from itertools import combinations

import numpy as np
import pytest

from models.evidence.bets import Floats
from models.evidence.margins import Design, Margins, Quantile, Rate
from models.evidence.slices import CHECKS, FIRST_CHECK, Slices, numbers, slices_of
from models.evidence.trial import Requests, Trial
from models.evidence.verdict import MetricSeen, Seen, Verdict

NEEDED = 3.0, 2.0


@pytest.mark.parametrize("drawn", [1, 3, 6])
def test_the_evidence_is_one_on_average_over_all_draws(drawn: int) -> None:
    rng = np.random.default_rng(1)
    excess = rng.standard_exponential(9) ** 2
    excess -= excess.mean()
    wealth = []
    for candidate in combinations(range(9), drawn):
        slices = Slices(0.5, 2)
        slices.candidate = np.isin(np.arange(9), candidate)
        slices.counts = np.ones((9, 2))
        wealth.append(np.exp(slices.log_evidence(excess, NEEDED)))
    assert np.mean(wealth, axis=0) == pytest.approx([1.0, 1.0])
    assert np.max(wealth, axis=0).min() > 1.2  # and not by being one of each draw


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.25, 0.5, 0.8])
def test_slices_of_both_arms_have_as_many_keys(share: float) -> None:
    of_incumbent, of_candidate = numbers(share)
    assert of_candidate / (of_candidate + of_incumbent) == pytest.approx(share, rel=0.01)
    keys = [f"k{at}" for at in range(20_000)]
    candidate = np.random.default_rng(2).random(20_000) < share
    found = slices_of(keys, candidate, share)
    assert (found[candidate] >= of_incumbent).all()
    assert (found[~candidate] < of_incumbent).all()
    assert (slices_of(keys, candidate, share) == found).all()
    sizes = np.bincount(found, minlength=of_incumbent + of_candidate)
    assert sizes.std() < 1.3 * np.sqrt(sizes.mean())  # as by chance


def test_the_checks_are_ever_fewer_and_have_an_end() -> None:
    slices, checked = Slices(0.5, 2), []
    for at in range(2000):
        slices.add(np.array([at % 7]), np.array([0]), np.ones(1))
        if slices.due():
            checked.append(at + 1)
    assert checked[:5] == [FIRST_CHECK, 91, 128, 182, 256]
    slices.counts *= 1e3  # one look after a very long time is one check
    assert (slices.due(), slices.due()) == (True, False)
    made = len(checked) + 1
    for _ in range(2 * CHECKS):
        slices.counts *= 2
        made += slices.due()
    assert made == CHECKS


METRICS = (
    Rate(name="errors", margin=0.02),
    Quantile(name="width", p=0.5, margin=0.25, low=1e-3, high=1e6),
)
MARGINS = Margins(metrics=METRICS, alpha=0.1)


def play(seed: int, keys: int, worse: float, apart: float, minutes: int = 30) -> Seen:
    """Judge each minute requests of keys whose widths differ for good."""
    rng = np.random.default_rng(seed)
    levels, arms = np.exp(apart * rng.standard_normal(keys)), rng.random(keys) < 0.5
    trial = Trial(MARGINS, Design(share=0.5))
    seen = trial.look()
    for minute in range(minutes):
        key = rng.integers(0, keys, 200)
        width = (
            levels[key] * np.exp(0.2 * rng.standard_normal(200)) * np.where(arms[key], worse, 1.0)
        )
        errors = (rng.random(200) < 0.01).astype(float)
        names = [f"{seed}-{each}" for each in key]
        values = {"width": width, "errors": errors}
        trial.add(Requests(names, np.full(200, minute), arms[key], values))
        seen = trial.look()
        if seen.verdict is Verdict.BAD:
            break
    return seen


def test_keys_that_differ_for_good_are_not_held_against_a_candidate() -> None:
    found = [play(seed, 12, 1.0, 1.5, 10) for seed in range(6)]
    assert all(seen.verdict is Verdict.UNKNOWN for seen in found)
    # By requests alone some of these candidates, which are no worse, would have been rolled back.
    assert any(seen.metrics["width"].evidence.is_bad for seen in found)


def test_what_is_worse_with_many_keys_is_still_found() -> None:
    assert play(1, 2000, 2.5, 0.5).verdict is Verdict.BAD
    assert play(2, 2000, 1.0, 0.2).verdict is Verdict.GOOD


def test_too_few_keys_are_named_as_the_reason() -> None:
    trial = Trial(MARGINS.model_copy(update={"metrics": METRICS[1:]}), Design(share=0.5))
    rng = np.random.default_rng(3)
    arms = np.tile([True, False], 300)
    names = [f"k{int(arm)}" for arm in arms]
    for minute in range(60):
        width = np.where(arms, 5.0, 1.0) * np.exp(0.1 * rng.standard_normal(600))
        trial.add(Requests(names, np.full(600, minute), arms, {"width": width}))
    seen = trial.look()
    assert seen.verdict is Verdict.UNKNOWN
    assert "may be due to the keys that it was given" in seen.reason
    assert seen.metrics["width"].evidence.is_bad


def test_what_an_early_check_could_not_see_is_not_good_for_ever() -> None:
    trial = Trial(MARGINS.model_copy(update={"metrics": METRICS[1:]}), Design(share=0.5))
    rng = np.random.default_rng(1)
    arms = rng.random(400) < 0.5
    names = [f"k{each}" for each in range(400)]

    def look(minute: int, width: Floats) -> MetricSeen:
        trial.add(Requests(names, np.full(400, minute), arms, {"width": width}))
        return trial.look().metrics["width"]

    first = look(0, np.zeros(400))  # all below the lowest threshold
    assert first.by_keys is not None
    assert first.by_keys.is_good
    for minute in range(1, 12):
        widths = np.where(arms, 2.0, 1.0) * np.exp(0.3 * rng.standard_normal(400))
        seen = look(minute, widths)
        assert seen.by_keys is not None
        assert seen.by_keys.is_good is (minute == 1)  # half the values are still below


def test_what_is_kept_goes_on_as_before() -> None:
    one = Slices(0.5, 3)
    rng = np.random.default_rng(4)
    one.add(rng.integers(0, 128, 500), rng.integers(0, 3, 500), rng.random(500))
    one.due()
    other = Slices(0.5, 3).restore(json.loads(json.dumps(one.to_json())))
    assert other.to_json() == one.to_json()
    excess = one.excess_of_quantile(0.5)
    assert other.log_evidence(excess, NEEDED) == one.log_evidence(excess, NEEDED)
