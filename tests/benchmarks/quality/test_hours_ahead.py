"""The replay of what clients get says what it is there to say."""

import pytest

from benchmarks.quality.hours_ahead import Figures, measured


def next_hour(kind: str, *, fixed: bool) -> Figures:
    (_, ahead, found) = next(measured(kind, 9, fixed=fixed, each=6))
    assert ahead == 1
    return found


@pytest.mark.parametrize("kind", ["noise", "skewed"])
def test_the_next_hour_of_noise_holds_where_a_fixed_persistence_misses(kind: str) -> None:
    ours, fixed = (next_hour(kind, fixed=each) for each in (False, True))
    assert ours.coverage > 0.88 > fixed.coverage
    assert ours.error < fixed.error
    assert ours.width < 1.05 * fixed.width


def test_surprises_that_last_are_foreseen_at_least_as_well() -> None:
    ours, fixed = (next_hour("AR .9", fixed=each) for each in (False, True))
    assert 0.88 < ours.coverage < 0.94
    assert ours.error < fixed.error
    assert ours.width < 0.85 * fixed.width
