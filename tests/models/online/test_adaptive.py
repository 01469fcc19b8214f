"""Coverage that comes back after a break, holds over any stretch, and survives a restart."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.conformal import conformal_quantile
from models.errors import ArtifactError, CalibrationError
from models.online.adaptive import AdaptiveInterval, AdaptiveSettings

CHANGE = 500
SCORES = st.lists(st.floats(-100, 100) | st.just(math.nan), min_size=1, max_size=120)


def doubled_variance(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give 300 scores to calibrate on, and 1,000 whose variance doubles after half."""
    noise = np.abs(np.random.default_rng(seed).normal(size=1_300))
    noise[300 + CHANGE :] *= math.sqrt(2)
    return noise[:300], noise[300:]


def held_by(state: AdaptiveInterval, scores: np.ndarray) -> np.ndarray:
    return np.array([state.observe(score) for score in scores.tolist()])


def test_coverage_is_back_a_hundred_steps_after_the_variance_doubled() -> None:
    back, split_back = [], []
    for seed in range(40):
        calibration, scores = doubled_variance(seed)
        after = slice(CHANGE + 100, CHANGE + 300)
        held = held_by(AdaptiveInterval(scores=calibration), scores)[after].mean()
        split = np.mean(scores[after] <= conformal_quantile(calibration, 0.9))
        back.append(0.88 <= held <= 0.92)
        split_back.append(0.88 <= split <= 0.92)
    assert np.mean(back) >= 0.95
    assert np.mean(split_back) <= 0.05


def test_intervals_are_hardly_wider_than_those_that_know_the_law() -> None:
    calibration, scores = doubled_variance(1)
    state, offsets = AdaptiveInterval(scores=calibration), []
    for score in scores[:CHANGE].tolist():
        offsets.append(state.offset)
        state.observe(score)
    assert np.mean(offsets) == pytest.approx(1.645, rel=0.12)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("kind", ["steady", "trend", "bursts", "heavy"])
def test_coverage_is_held_through_drift_of_any_kind(level: float, kind: str) -> None:
    rng = np.random.default_rng(2)
    noise, time = np.abs(rng.normal(size=6_000)), np.arange(6_000)
    scores = {
        "steady": noise,
        "trend": noise * (1 + time / 500),
        "bursts": noise * np.where(time % 700 < 200, 5, 1),
        "heavy": np.abs(rng.standard_t(2, 6_000)),
    }[kind]
    state = AdaptiveInterval(AdaptiveSettings(level=level), scores[:200])
    held_by(state, scores[200:])
    assert state.coverage.so_far == pytest.approx(level, abs=0.2 * (1 - level))
    assert state.coverage.holds


@given(scores=SCORES, level=st.floats(0.55, 0.99), rate=st.floats(0.05, 1.5))
@settings(deadline=None)
def test_misses_differ_from_their_number_by_what_the_share_moved(
    scores: list[float], level: float, rate: float
) -> None:
    """The sum of the updates, where no clip has cut one off."""
    state = AdaptiveInterval(AdaptiveSettings(level=level, rate=rate), [1.0, 2.0, 3.0])
    clipped = False
    for score in scores:
        state.observe(score)
        clipped |= state.share in (-1.0, 0.7)
    seen = state.coverage
    missed = seen.outcomes - seen.covered
    due = (1 - level) * seen.outcomes
    if not clipped:
        moved = (state.share - (1 - level)) / (rate * (1 - level))
        assert missed - due == pytest.approx(-moved, abs=1e-6)


@given(before=SCORES, after=SCORES)
@settings(deadline=None)
def test_a_state_resumes_to_the_bit(before: list[float], after: list[float]) -> None:
    state = AdaptiveInterval(AdaptiveSettings(window=40, recent=30))
    held_by(state, np.array(before))
    resumed = AdaptiveInterval.decode(state.encode())
    copied = pickle.loads(pickle.dumps(state))  # noqa: S301  our own bytes
    for score in after:
        expected = (state.observe(score), state.offset, state.share, state.coverage)
        for twin in (resumed, copied):
            assert (twin.observe(score), twin.offset, twin.share, twin.coverage) == expected
    assert resumed.encode() == state.encode() == copied.encode()


def test_asking_changes_nothing_and_a_gap_changes_nothing() -> None:
    state = AdaptiveInterval(scores=np.arange(50.0))
    before = state.encode()
    state.interval(np.array([1.0]), np.array([2.0]))
    for gap in (math.nan, math.inf, -math.inf):
        state.observe(gap)
    assert state.encode() == before


def test_the_interval_is_moved_out_or_in_by_the_offset() -> None:
    state = AdaptiveInterval(scores=np.arange(1.0, 100.0))
    lower, upper = state.interval(np.array([10.0, 0.0]), np.array([20.0, 0.0]))
    assert state.offset == pytest.approx(90.0)
    assert (lower.tolist(), upper.tolist()) == (
        pytest.approx([-80.0, -90.0]),
        pytest.approx([110.0, 90.0]),
    )
    narrow = AdaptiveInterval(scores=np.full(50, -3.0))
    lower, upper = narrow.interval(np.array([0.0]), np.array([4.0]))
    assert lower == upper == 2.0


def test_an_outcome_is_judged_by_the_offset_that_was_issued() -> None:
    state = AdaptiveInterval(scores=np.arange(1.0, 100.0))
    assert state.observe(95.0, issued=96.0)
    assert not state.observe(80.0, issued=70.0)
    assert state.coverage.covered == 1


def test_light_outcomes_move_the_share_less() -> None:
    full, light = AdaptiveInterval(scores=np.arange(9.0)), AdaptiveInterval(scores=np.arange(9.0))
    full.observe(100.0)
    light.observe(100.0, weight=0.25)
    assert light.share - 0.1 == pytest.approx((full.share - 0.1) / 4)


def test_it_says_when_it_has_too_few_scores() -> None:
    state = AdaptiveInterval()
    assert state.offset == 0.0
    assert not state.calibrated
    assert math.isnan(state.coverage.so_far)
    assert state.coverage.holds
    held_by(state, np.arange(8.0))
    assert not state.calibrated
    state.observe(1.0)
    assert state.calibrated


def test_it_says_when_coverage_does_not_hold() -> None:
    state = AdaptiveInterval(scores=np.ones(50))
    held_by(state, np.ones(200))
    assert state.coverage.recent == 1.0
    assert not state.coverage.holds


def test_a_constant_truth_and_then_a_jump_does_not_run_up_a_debt() -> None:
    state = AdaptiveInterval()
    held_by(state, np.zeros(5_000))
    held = held_by(state, np.abs(np.random.default_rng(1).normal(size=400)))
    assert held[200:].mean() == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(
    "asked", [{"level": 1.0}, {"level": 0.3}, {"rate": 0.0}, {"window": 0}, {"recent": 0}]
)
def test_settings_that_cannot_be_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(CalibrationError, match="is not valid"):
        AdaptiveSettings(**asked)


def test_damaged_state_is_refused() -> None:
    with pytest.raises(ArtifactError):
        AdaptiveInterval.decode(AdaptiveInterval().encode()[:-1])
