"""Keys that always fail are few, and a canary may have been given none of them."""

import numpy as np
import pytest

from models.evidence.margins import Design, Margins, Quantile, Rate
from models.evidence.trial import Requests, Trial
from models.evidence.verdict import Seen, Verdict

MARGINS = Margins(metrics=(Rate(name="errors", margin=0.02),), alpha=0.1, grouped=True)
EARLY, LAST = Design(share=0.5), Design(share=0.5, for_all_keys=True)


def play(design: Design, seed: int, keys: int, failing: int, minutes: int = 100) -> Seen:
    """Ask each key each minute; some fail always where the candidate has them."""
    arm = np.random.default_rng(seed).random(keys) < design.share
    errors = ((np.arange(keys) < failing) & arm).astype(np.float64)
    trial, names = Trial(MARGINS, design), [f"{seed}-{at}" for at in range(keys)]
    for minute in range(minutes):
        trial.add(Requests(names, np.full(keys, minute), arm, {"errors": errors}))
        if minute % 10 == 9 and (seen := trial.look()).verdict is not Verdict.UNKNOWN:
            return seen
    return trial.look()


def test_a_canary_of_few_keys_is_not_good_whichever_it_was_given() -> None:
    # 2 of 40 fail, 5 %, and the margin is 2 %: about every fourth canary has neither of them.
    assert any(play(EARLY, seed, 40, 2).verdict is Verdict.GOOD for seed in range(12))
    assert all(play(LAST, seed, 40, 2).verdict is not Verdict.GOOD for seed in range(12))


def test_it_says_how_many_keys_it_needs_and_is_good_by_so_many() -> None:
    seen = play(LAST, 1, 40, 0)
    assert seen.verdict is Verdict.UNKNOWN
    # Of 114 keys none is among 2 % with a probability of 0.1.
    assert "it needs 114 keys, or a shadow" in seen.reason
    assert play(LAST, 1, 300, 0).verdict is Verdict.GOOD


@pytest.mark.parametrize("keys", [3000, 40_000])
def test_the_candidates_keys_are_counted(keys: int) -> None:
    arm, trial = np.random.default_rng(3).random(keys) < 0.5, Trial(MARGINS, LAST)
    names = [f"k{at}" for at in range(keys)]
    trial.add(Requests(names, np.zeros(keys, int), arm, {"errors": np.zeros(keys)}))
    exact = keys < 4096
    tolerance = 0 if exact else 0.1
    assert trial._exposures.candidates_keys() == pytest.approx(arm.sum(), rel=tolerance)


def test_a_metric_that_depends_on_the_arms_size_is_compared_by_as_many_keys() -> None:
    width = Quantile(name="width", p=0.5, margin=0.25, low=1e-3, high=1e6)
    margins, design = Margins(metrics=(width,), alpha=0.1), Design(share=0.05, matched=("width",))
    rng, keys = np.random.default_rng(4), 20_000
    place, names = rng.random(keys), [f"k{at}" for at in range(keys)]
    candidate, compared = place < 0.05, place < 0.1
    trial, alike = Trial(margins, design), Trial(margins, Design(share=0.5))
    # Those that are not compared are as different as can be.
    values = {"width": np.where(compared, np.exp(0.3 * rng.standard_normal(keys)), 1e5)}
    minutes = np.zeros(keys, int)
    trial.add(Requests(names, minutes, candidate, values, {"width": compared}))
    few = [name for name, each in zip(names, compared, strict=True) if each]
    here = {"width": values["width"][compared]}
    alike.add(Requests(few, minutes[compared], candidate[compared], here))
    one, other = trial.look(), alike.look()
    assert one.metrics == other.metrics
    assert one.verdict is Verdict.GOOD
