"""Tail ranks: probabilities that are shares of the history, and what they add up to."""

from typing import Any

import numpy as np
import pytest

from benchmarks.quality.tail_ranks import TailRanks
from models.errors import InvalidColumnError, ModelError, TrainingDataError

HISTORY = np.random.default_rng(1).exponential(size=(999, 3))
ROWS = np.random.default_rng(2).exponential(size=(200, 3)) * 2


def test_a_tail_probability_is_the_share_of_the_history_as_far_out() -> None:
    upper = TailRanks.fit(HISTORY, tail="upper").tail_probability(ROWS)
    both = TailRanks.fit(HISTORY).tail_probability(ROWS)
    for i, j in ((0, 0), (5, 1), (150, 2)):
        above = (HISTORY[:, j] >= ROWS[i, j]).sum()
        under = (HISTORY[:, j] <= ROWS[i, j]).sum()
        assert upper[i, j] == (above + 1) / 1_000
        assert both[i, j] == min(1, (2 * min(above, under) + 1) / 1_000)


def test_ordinary_rows_get_uniform_probabilities() -> None:
    fresh = np.random.default_rng(3).exponential(size=(5_000, 3))
    p = TailRanks.fit(HISTORY, tail="upper").tail_probability(fresh)
    for level in (0.01, 0.1, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=0.02)


def test_the_odd_dimension_says_most() -> None:
    ranks = TailRanks.fit(HISTORY)
    odd = np.full((3, 3), np.log(2)) + np.diag([9.0, 9.0, 9.0])
    said = ranks.attribution(odd)
    assert said.argmax(axis=1).tolist() == [0, 1, 2]
    assert (said.sum(axis=1) > np.quantile(ranks.attribution(HISTORY).sum(axis=1), 0.99)).all()


def test_a_row_gets_the_same_bits_alone_and_in_a_batch() -> None:
    ranks = TailRanks.fit(HISTORY)
    whole = ranks.attribution(ROWS)
    for count in (1, 3, 8, 64):
        parts = [ranks.attribution(ROWS[i : i + count]) for i in range(0, len(ROWS), count)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_what_cannot_be_used_is_refused() -> None:
    wrong: Any = "lower"
    with pytest.raises(TrainingDataError):
        TailRanks.fit(np.zeros((1, 3)))
    with pytest.raises(ModelError, match="choose upper or both"):
        TailRanks.fit(HISTORY, tail=wrong)
    with pytest.raises(InvalidColumnError):
        TailRanks.fit(HISTORY).attribution(np.array([[np.nan, 0, 0]]))
