"""Clusters of a process whose extremal index is known, and of ones drawn by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingDataError
from models.tail.extremes.dependence import (
    declustered,
    intervals_extremal_index,
    intervals_run_length,
)


def runs_extremal_index(values: np.ndarray, threshold: float, run_length: int) -> float:
    """Estimate it as clusters an exceedance; clusters lie `run_length` values apart or more."""
    times = np.flatnonzero(values > threshold)
    return (1 + np.count_nonzero(np.diff(times) >= run_length)) / times.size


def moving_maxima(index: float, size: int, seed: int) -> np.ndarray:
    """Draw max-autoregressive values, whose extremal index is `index` (Coles 2001, example 5.5)."""
    shocks = 1 / np.random.default_rng(seed).exponential(size=size)
    values = np.empty(size)
    values[0] = shocks[0]
    for place in range(1, size):
        values[place] = max((1 - index) * values[place - 1], index * shocks[place])
    return values


@pytest.mark.parametrize("index", [0.25, 0.5, 0.75, 1.0])
def test_both_estimators_find_the_index_of_a_known_process(index: float) -> None:
    values = moving_maxima(index, 30_000, seed=5)
    threshold = float(np.quantile(values, 0.98))
    assert intervals_extremal_index(values, threshold) == pytest.approx(index, abs=0.1)
    assert runs_extremal_index(values, threshold, 5) == pytest.approx(index, abs=0.1)
    sample = declustered(values, threshold)
    assert 1 / sample.cluster_size == pytest.approx(index, abs=0.1)
    assert sample.exceeded == np.count_nonzero(values > threshold)
    assert sample.observed == 30_000


def by_hand() -> np.ndarray:
    values = np.zeros(400)
    for start in range(0, 400, 10):
        values[start : start + 3] = [5.0, 9.0 + start / 100, 4.0]
    return values


def test_a_cluster_gives_its_peak() -> None:
    sample = declustered(by_hand(), 1.0, run_length=3)
    peaks = 1.0 + sample.excess
    assert peaks.tolist() == pytest.approx([9.0 + start / 100 for start in range(0, 400, 10)])
    assert sample.cluster_size == 3.0
    assert intervals_run_length(by_hand(), 1.0) in range(2, 9)
    assert declustered(by_hand(), 1.0).excess.tolist() == sample.excess.tolist()


def test_a_gap_is_time_that_passes() -> None:
    values = by_hand()
    values[values == 0] = math.nan
    values[-1] = 0.0
    assert declustered(values, 1.0, run_length=3).excess.size == 40


def test_exceedances_that_never_part_are_one_cluster() -> None:
    values = np.concatenate([np.zeros(50), np.arange(1.0, 60.0), np.zeros(50)])
    assert intervals_extremal_index(values, 0.5) == pytest.approx(1.0)
    with pytest.raises(TrainingDataError, match="1 of 159 values"):
        declustered(values, 0.5, run_length=2)


@given(
    places=st.lists(st.integers(0, 999), min_size=3, max_size=200, unique=True),
    run_length=st.integers(1, 30),
)
def test_longer_runs_never_make_more_clusters(places: list[int], run_length: int) -> None:
    values = np.zeros(1_000)
    values[places] = 1.0 + np.arange(len(places))
    shorter, longer = (runs_extremal_index(values, 0.5, run_length + more) for more in (0, 1))
    assert 0 < longer <= shorter <= 1
    assert 0 < intervals_extremal_index(values, 0.5) <= 1


def test_what_has_no_clusters_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="fewer than 2"):
        intervals_extremal_index(np.eye(10)[0], 0.5)
    with pytest.raises(TrainingDataError, match="give at least 1"):
        declustered(by_hand(), 1.0, run_length=0)
