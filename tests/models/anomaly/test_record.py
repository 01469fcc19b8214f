"""A stream's own record of peaks keeps the budget where ranks do not; shifts still ring."""

from typing import Any

import numpy as np
import pytest

from models.anomaly.alarms import AlarmBank, AlarmSettings
from models.anomaly.record_kernel import (
    LEAST_IN_STEPS,
    PEAKS,
    SCORE,
    WALK,
    Record,
    count_in,
    end_excursion,
    level,
)

LEAST = 1e-3


def record_of(peaks: Any, seen: int, which: int = SCORE) -> Record:
    record = Record(
        peaks=np.zeros((1, 2, 2, PEAKS), dtype=np.float32),
        held=np.zeros((1, 2, 2), dtype=np.int64),
        seen=np.array([[seen, 0]]),
        walk=np.zeros(1),
        high=np.zeros((1, 2)),
        told=np.zeros(1, dtype=np.int64),
    )
    for peak in peaks:
        record.high[0, which] = peak
        end_excursion(record, 0)
    return record


def test_the_level_is_where_the_formula_says() -> None:
    peaks = np.random.default_rng(1).exponential(2.0, 200).astype(np.float32)
    x = np.sort(peaks)[::-1][:PEAKS].astype(float)
    for rate in (1e-3, 1e-5, 1e-8):
        reached = level(record_of(peaks, 5_000), 0, SCORE, rate, LEAST)
        excess = (x - x[-1]).sum()
        again = PEAKS / 5_000 * (1 + (reached - x[-1]) / excess) ** -(PEAKS - 1)
        assert 4 * again == pytest.approx(rate, rel=1e-6)


def test_exponential_peaks_reach_the_level_no_more_often_than_they_may() -> None:
    """The scale is integrated out, so the rate is right on average over short records, too."""
    rng, rate, over = np.random.default_rng(2), 1e-4, []
    for _ in range(3_000):
        peaks = rng.exponential(1.5, 100)
        reached = level(record_of(peaks, 2_000), 0, SCORE, rate / 20, LEAST)
        over.append(np.exp(-reached / 1.5))
    assert rate / 8 < np.mean(over) < rate / 2


def test_the_walk_is_never_taken_to_be_tamer_than_theory_allows() -> None:
    flat = record_of(np.full(20, 3.0), 1_000, WALK)
    assert level(flat, 0, WALK, 1e-6, LEAST_IN_STEPS) > 3 + np.log(PEAKS / 1_000 / 1e-6)


def test_too_few_peaks_say_nothing() -> None:
    assert level(record_of([1.0, 2.0, 3.0], 1_000), 0, SCORE, 1e-6, LEAST) == np.inf
    assert level(record_of(np.arange(1.0, 40), 1_000), 0, SCORE, 0.0, LEAST) == np.inf


def test_what_is_older_than_two_eras_is_forgotten() -> None:
    record = record_of(np.arange(100.0, 120.0), 0)
    high = level(record, 0, SCORE, 1e-6, LEAST)
    for era in range(2):
        for _ in range(50):
            count_in(record, 0, 50)
        for peak in np.arange(1.0, 21.0):
            record.high[0, SCORE] = peak
            end_excursion(record, 0)
        if era == 0:
            assert level(record, 0, SCORE, 1e-6, LEAST) > 100
    assert level(record, 0, SCORE, 1e-6, LEAST) < high
    assert record.peaks.max() == 20


def moving(rng: Any, kind: str, steps: int, streams: int) -> Any:
    noise = rng.normal(size=(steps, streams))
    if kind == "moving maxima":
        return np.maximum.reduce([np.roll(noise, i, axis=0) for i in range(8)])
    if kind == "autoregression":
        for i in range(1, steps):
            noise[i] = 0.8 * noise[i - 1] + 0.6 * noise[i]
        return np.abs(noise)
    return np.abs(noise + 2 * np.sin(np.arange(steps) / 60)[:, None])


@pytest.mark.parametrize("kind", ["moving maxima", "autoregression", "season"])
def test_dependent_scores_keep_to_the_budget_though_nobody_declared_them(kind: str) -> None:
    steps, streams, budget = 4_000, 100, 20
    scores = moving(np.random.default_rng(3), kind, steps, streams)
    counts = []
    for recorded in (False, True):
        bank = AlarmBank(AlarmSettings(epoch=128, recorded=recorded))
        slots = np.array([bank.open(i) for i in range(streams)])
        judged = bank.advance(np.tile(slots, steps), scores.ravel(), budget / scores.size)
        counts.append(int(judged.alarm.sum()))
    assert counts[1] <= budget
    assert counts[1] <= counts[0]


def test_a_second_shift_rings_again_and_one_that_stays_rings_once() -> None:
    rng = np.random.default_rng(4)
    scores = rng.exponential(size=(6_000, 30))
    scores[2_000:2_040] += 15
    scores[4_000:] += 15
    bank = AlarmBank(AlarmSettings(spikes=True))
    slots = np.array([bank.open(i) for i in range(30)])
    alarm = bank.advance(np.tile(slots, 6_000), scores.ravel(), 1e-6).alarm.reshape(scores.shape)
    assert (alarm[2_000:2_040].sum(axis=0) == 1).all()
    assert (alarm[4_000:4_040].any(axis=0)).mean() > 0.9
    assert alarm.sum() <= 62


def test_one_spike_rings_at_once_if_spikes_may() -> None:
    scores = np.random.default_rng(5).exponential(size=1_000)
    scores[900] = 60
    for spikes in (True, False):
        bank = AlarmBank(AlarmSettings(spikes=spikes))
        judged = bank.advance(np.full(1_000, bank.open(1)), scores, 1e-6)
        assert np.flatnonzero(judged.alarm).tolist() == ([900] if spikes else [])


@pytest.mark.parametrize("kind", ["rare counts", "few levels"])
def test_the_next_step_of_what_comes_in_steps_is_no_spike(kind: str) -> None:
    """Counts have their highest peaks in common, and one more than those comes some day."""
    rng, rings = np.random.default_rng(6), []
    for most in (2.0, 3.0, 40.0):
        counts = np.minimum(rng.poisson(0.05, 6_000).astype(float), 2.0)
        values = (
            counts if kind == "rare counts" else np.clip(rng.normal(0, 0.6, 6_000).round(), -2, 2)
        )
        values[5_000] = most
        bank = AlarmBank(AlarmSettings(spikes=True))
        slots = np.full(6_000, bank.open(1))
        judged = bank.advance(slots, 2.0 * np.abs(values), 1e-6, values[:, None])
        rings.append(np.flatnonzero(judged.alarm).tolist())
    assert rings == [[], [], [5_000]]


def test_the_same_observation_ties_with_itself_though_its_score_drifts() -> None:
    """Zeros by far the most, their score drifting slowly: no zero is odd among zeros."""
    rng = np.random.default_rng(7)
    values = rng.poisson(0.05, (4_000, 50)).astype(float)
    drift = np.cumsum(rng.normal(0, 1e-3, values.shape), axis=0)
    counts = []
    for observed in (None, values.reshape(-1, 1)):
        bank = AlarmBank(AlarmSettings(recorded=False))
        slots = np.array([bank.open(i) for i in range(50)])
        scores = (values + drift).ravel()
        judged = bank.advance(np.tile(slots, 4_000), scores, 20 / scores.size, observed)
        counts.append(int(judged.alarm.sum()))
    assert counts[1] <= 20 + 3 * np.sqrt(20) < counts[0]
