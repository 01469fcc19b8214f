"""Promotion: never of the no better, in all but one in twenty; of the better, soon."""

from collections.abc import Callable

import numpy as np

from models.optimization.evaluation.logged import LoggedDecisions
from models.optimization.evaluation.promotion import judge_promotion
from models.protocols import FloatArray

World = Callable[..., tuple[LoggedDecisions, FloatArray]]


def always(arm: int, rows: int) -> FloatArray:
    return np.tile(np.eye(3)[arm], (rows, 1))


def test_a_policy_that_is_no_better_is_not_promoted() -> None:
    promoted = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        arms, chances = rng.integers(0, 3, 300), np.full((300, 3), 1 / 3)
        rewards = (rng.random(300) < 0.4).astype(np.float64)
        log = LoggedDecisions(np.ones((300, 1)), arms, rewards, chances)
        promoted += judge_promotion(log, always(1, 300), always(0, 300)).promote
    assert promoted <= 10


def test_a_policy_that_is_better_is_promoted_once_it_is_shown(world: World) -> None:
    log, means = world(6_000, 1)
    best = np.eye(3)[means.argmax(axis=1)]
    few = judge_promotion(log.where(slice(400)), best[:400], always(0, 400))
    many = judge_promotion(log, best, always(0, 6_000))
    assert not few.promote
    assert many.promote
    assert many.gain is not None
    gain = float(((best - always(0, 6_000)) * means).sum(axis=1).mean())
    assert 0 < many.gain < gain
    assert many.candidate.estimates["dr"].lower > many.incumbent.estimates["dr"].lower
    assert "promoted only when" in many.reason


def test_being_logged_more_is_not_being_better() -> None:
    """Equal arms, of which the candidate has the far tighter lower bound."""
    rng = np.random.default_rng(3)
    chances = np.tile([0.05, 0.9, 0.05], (4_000, 1))
    arms = (rng.random((4_000, 1)) > np.cumsum(chances, axis=1)).sum(axis=1)
    rewards = (rng.random(4_000) < 0.5).astype(np.float64)
    log = LoggedDecisions(np.ones((4_000, 1)), arms, rewards, chances)
    found = judge_promotion(log, always(1, 4_000), always(0, 4_000))
    lows = [each.estimates["dr"].lower for each in (found.candidate, found.incumbent)]
    assert lows[0] > lows[1]
    assert not found.promote
