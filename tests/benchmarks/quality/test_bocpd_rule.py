"""Finished series: split by given settings, and by those that the rule chooses."""

import time
from typing import Any

import numpy as np
import pytest

from benchmarks.quality.bocpd_rule import segment_by_rule, settings_for, without_spikes
from benchmarks.quality.segmentation import segment
from models.anomaly.bocpd_settings import BocpdSettings
from models.errors import InvalidColumnError, TrainingDataError


def steps(seed: int, *levels: float, length: int = 80) -> Any:
    rng = np.random.default_rng(seed)
    return np.repeat(levels, length) + rng.normal(size=length * len(levels))


def correlated(seed: int, length: int, phi: float) -> Any:
    noise = np.random.default_rng(seed).normal(size=length)
    for t in range(1, length):
        noise[t] += phi * noise[t - 1]
    return noise


def test_a_long_series_takes_less_than_a_second() -> None:
    values = steps(1, *np.random.default_rng(0).normal(0, 6, 50), length=81)
    segment(values[:100])
    began = time.process_time()
    found = segment(values)
    assert time.process_time() - began < 1
    assert len(found.starts) > 30


def test_counts_and_vectors_are_split_too() -> None:
    rng = np.random.default_rng(2)
    counts = np.concatenate([rng.poisson(2, 60), rng.poisson(20, 60)])
    assert segment(counts, BocpdSettings(family="poisson")).starts.tolist() == [60]
    pairs = np.stack([steps(3, 0, 0), steps(4, 0, 7)], axis=1)
    for family in ("level", "wishart"):
        assert segment(pairs, BocpdSettings(family=family)).starts.tolist() == [80]


@pytest.mark.parametrize("values", [[1.0], [], [1.0, np.nan, 2.0]])
def test_what_cannot_be_split_is_refused(values: list[float]) -> None:
    with pytest.raises((TrainingDataError, InvalidColumnError)):
        segment(np.array(values))


@pytest.mark.parametrize("values", [[1.0, 2.0], [5.0] * 30, [0.0] * 9 + [1.0], [1e308, -1e308] * 9])
def test_the_shortest_and_flattest_are_split(values: list[float]) -> None:
    assert len(segment_by_rule(np.array(values)).starts) <= 2


def test_steps_in_white_noise_are_levels_and_count_fully() -> None:
    chosen = settings_for(steps(5, 0, 5, 0, 5))
    assert chosen.family == "level"
    assert chosen.weight > 0.7
    starts = segment_by_rule(steps(5, 0, 5, 0, 5)).starts
    assert np.abs(starts - [80, 160, 240]).max() <= 1


def test_a_bent_line_is_two_trends() -> None:
    rng = np.random.default_rng(6)
    line = np.concatenate([np.arange(100.0), 100 - 1.5 * np.arange(100.0)])
    assert settings_for(line + rng.normal(0, 2, 200)).family == "trend"
    (start,) = segment_by_rule(line + rng.normal(0, 2, 200)).starts
    assert abs(start - 100) <= 5


def test_noise_that_wanders_is_no_change() -> None:
    by_default, by_rule = 0, 0
    for seed in range(12):
        values = correlated(seed, 400, 0.9)
        by_default += len(segment(values).starts)
        by_rule += len(segment_by_rule(values).starts)
    assert by_rule <= 12
    assert by_default >= 60


def test_one_spike_is_no_regime() -> None:
    values = steps(7, 0, 6)
    values[[20, 100]] += [15, -15]
    assert segment_by_rule(values).starts.tolist() == [80]


def test_without_spikes_leaves_steps_and_ordinary_noise_alone() -> None:
    values = steps(8, 0, 9)[:, None]
    calm = without_spikes(values)
    assert (calm != values).mean() < 0.03
    spiked = values.copy()
    spiked[50] += 30
    assert without_spikes(spiked)[50] == pytest.approx(np.median(spiked[49:52]))


@pytest.mark.parametrize("seed", range(3))
def test_units_do_not_matter(seed: int) -> None:
    values = steps(seed, 0, 4, -2)
    starts = segment_by_rule(values).starts.tolist()
    assert segment_by_rule(1e-7 * values + 40).starts.tolist() == starts
    assert starts


def test_the_rule_depends_on_nothing_but_the_series() -> None:
    values = steps(9, 0, 3, 1)
    before = values.copy()
    assert settings_for(values) == settings_for(values)
    np.testing.assert_array_equal(values, before)
