"""Which block maxima get an interval: those that do not follow each other."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from models.tail.extremes.block_answer import BlockQuestion, answer_blocks
from models.tail.extremes.independence import follow_each_other

DRAWS = 400


@pytest.mark.parametrize("blocks", [15, 40, 168])
@pytest.mark.parametrize("kind", ["gumbel", "counts", "gaps"])
def test_independent_maxima_are_seldom_taken_for_dependent_ones(kind: str, blocks: int) -> None:
    rng = np.random.default_rng(3)

    def drawn() -> Any:
        if kind == "counts":  # with many ties
            return rng.poisson(4, size=blocks).astype(float)
        maxima = rng.gumbel(size=blocks)
        if kind == "gaps":
            maxima[rng.permutation(blocks)[: blocks // 10]] = math.nan
        return maxima

    share = np.mean([follow_each_other(drawn()) for _ in range(DRAWS)])
    assert share < 0.06


@pytest.mark.parametrize("blocks", [40, 168])
@pytest.mark.parametrize("kind", ["season", "trend", "shift", "memory"])
def test_maxima_that_follow_each_other_are_found(kind: str, blocks: int) -> None:
    rng = np.random.default_rng(4)
    at = np.arange(blocks)

    def drawn() -> Any:
        maxima = rng.gumbel(size=blocks)
        if kind == "memory":
            return lfilter([1], [1, -0.8], maxima)
        moved = {
            "season": np.sin(at * math.pi / 12),
            "trend": at / blocks,
            "shift": at > blocks / 2,
        }
        return maxima + 5 * moved[kind]

    assert np.mean([follow_each_other(drawn()) for _ in range(50)]) > 0.9


def test_no_interval_is_claimed_for_hours_that_follow_the_time_of_day() -> None:
    """Of such series, of a week, every second interval missed the level of a hundred hours."""
    minutes = np.arange(7 * 1440)
    noise = np.random.default_rng(5).normal(size=minutes.size)
    daily = answer_blocks(BlockQuestion(np.exp(0.5 * np.sin(minutes * math.pi / 720)) + noise, 60))
    plain = answer_blocks(BlockQuestion(noise, 60))
    for each in (*daily.return_levels, *daily.value_at_risk, daily.scale, daily.shape):
        assert math.isfinite(each.value)
        assert (each.lower, each.upper) == (-math.inf, math.inf)
    assert any("depend on each other" in note for note in daily.notes)
    assert all(math.isfinite(each.upper) for each in plain.return_levels)
    assert not any("depend on each other" in note for note in plain.notes)


def test_short_blocks_are_said_to_be_short() -> None:
    noise = np.random.default_rng(6).normal(size=2000)
    assert any("blocks of 5" in note for note in answer_blocks(BlockQuestion(noise, 5)).notes)
