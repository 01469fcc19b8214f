"""Which keys which arm answered."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from models.evidence.exposures import MOST_KEYS, Exposures

LIMIT = np.log(1000)


def keys(count: int, prefix: str = "k") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def test_a_key_counts_once() -> None:
    seen = Exposures(0.5)
    seen.add(["a", "b", "a", "a"], [True, False, True, True])
    seen.add(["a", "c"], [True, False])
    assert (seen.first_seen, seen.seen_by_both) == ([2, 1], 0)


def test_a_key_of_both_arms_is_found_once() -> None:
    seen = Exposures(0.5)
    seen.add(["a", "b"], [True, False])
    seen.add(["a", "a"], [False, False])
    seen.add(["a"], [True])
    assert (seen.first_seen, seen.seen_by_both) == ([1, 1], 1)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_share_that_is_kept_is_seldom_doubted_and_a_broken_one_found(share: float) -> None:
    rng, doubted = np.random.default_rng(11), 0
    for run in range(100):
        seen = Exposures(share)
        highest = 0.0
        for piece in range(5):
            names = keys(100, f"{run}-{piece}-")
            seen.add(names, (rng.random(100) < share).tolist())
            highest = max(highest, seen.log_evidence())
        doubted += highest >= np.log(20)
    assert binomtest(doubted, 100, 0.05, alternative="greater").pvalue > 0.001
    broken = Exposures(share)
    broken.add(keys(4000), (rng.random(4000) < share * 1.6).tolist())
    assert broken.log_evidence() > LIMIT


def test_the_memory_is_bounded_and_the_sample_fair() -> None:
    seen, rng = Exposures(0.2), np.random.default_rng(12)
    arms = (rng.random(20_000) < 0.2).tolist()
    seen.add(keys(20_000), arms)
    assert len(seen._arm_of) == MOST_KEYS
    counted = sum(seen.first_seen)
    assert MOST_KEYS <= counted < 20_000
    assert binomtest(seen.first_seen[1], counted, 0.2).pvalue > 0.001
    before = list(seen.first_seen)
    seen.add(keys(20_000), arms)  # again: nobody is new
    assert seen.first_seen == before
    seen.add(keys(20_000), [not arm for arm in arms])
    assert seen.seen_by_both == MOST_KEYS


def test_what_is_kept_goes_on_as_before() -> None:
    one = Exposures(0.5)
    one.add(keys(6000), [at % 2 == 0 for at in range(6000)])
    other = Exposures(0.5).restore(json.loads(json.dumps(one.to_json())))
    for each in (one, other):
        each.add(keys(3000, "more"), [True] * 3000)
    assert other.to_json() == one.to_json()
    assert other.log_evidence() == one.log_evidence() > LIMIT
