"""P-values that are uniform, and alarms that stay within their budget."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.anomaly.alarm_kernel import BETS, _draw
from models.anomaly.alarms import AlarmBank, AlarmSettings, share
from models.errors import ArtifactError, InvalidColumnError, ModelError


def bank_of(
    streams: int, epoch: int = 32, dependence: int = 1, *, recorded: bool = False
) -> tuple[AlarmBank, Any]:
    bank = AlarmBank(AlarmSettings(epoch, dependence, recorded=recorded))
    return bank, np.array([bank.open(seed) for seed in range(streams)])


def by_definition(scores: Any, epoch: int, shares: Any, seed: Any, power: float = 1.0) -> Any:
    """One stream, one step after the other, every detector kept to itself."""
    detectors: list[dict[str, Any]] = []
    start, told = 0, []
    for now, score in enumerate(scores):
        draw = _draw(seed, now)
        age = now - start
        if age % epoch == 0:
            first = max(0, age // epoch - 1) * epoch + start
            detectors.append({"first": first, "ends": age // epoch + 2, "m": np.zeros(len(BETS))})
        detectors = [d for d in detectors if age // epoch < d["ends"]]

        def rank(first: int, now: int = now, score: float = score, draw: float = draw) -> float:
            past = scores[first:now]
            more, same = (past > score).sum(), (past == score).sum()
            return float((more + draw * (same + 1)) / (len(past) + 1))

        for d in detectors:
            put = shares[now] if d is detectors[-1] else 0.0
            p = rank(d["first"])
            gains = np.array([(b * p ** (b - 1)) ** power for b in BETS])
            d["m"] = (d["m"] + put / len(BETS)) * gains
        evidence = max(float(d["m"].sum()) for d in detectors)
        told.append((rank(max(0, now - 3 * epoch)), evidence, evidence >= 1))
        if evidence >= 1:
            detectors, start = [], now + 1
    return told


@pytest.mark.parametrize("dependence", [1, 3])
def test_it_does_what_the_docstring_says(dependence: int) -> None:
    rng = np.random.default_rng(1)
    scores = np.round(rng.normal(size=600), 1).astype(np.float32)
    scores[[200, 201, 202, 203, 204, 430, 431, 432]] = 9
    shares = rng.uniform(0, 0.02 if dependence == 1 else 0.2, 600)
    bank, slots = bank_of(1, epoch=16, dependence=dependence)
    seed = bank._memory.seed[0]
    judged = bank.advance(np.full(600, slots[0]), scores.astype(np.float64), shares)
    expected = by_definition(scores, 16, shares, seed, 1 / dependence)
    p, evidence, alarm = (np.array(column) for column in zip(*expected, strict=True))
    np.testing.assert_allclose(judged.p_value, p, rtol=1e-12)
    np.testing.assert_allclose(judged.evidence, evidence, rtol=1e-9)
    np.testing.assert_array_equal(judged.alarm, alarm)
    assert alarm.any()


@pytest.mark.parametrize(
    "scores",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.standard_cauchy(n),
        lambda rng, n: rng.integers(0, 3, n).astype(float),
        lambda _, n: np.zeros(n),
    ],
)
def test_p_values_of_exchangeable_scores_are_uniform(scores: Any) -> None:
    rng = np.random.default_rng(2)
    bank, slots = bank_of(200)
    p = [bank.advance(slots, scores(rng, 200), 1e-9).p_value for _ in range(150)]
    for late in (p[-1], p[40]):
        assert stats.kstest(late, "uniform").pvalue > 1e-3
    assert ((np.array(p) > 0) & (np.array(p) < 1)).all()


def false_alarms(
    scores: Any, *, budget: float, streams: int, steps: int, epoch: int, dependence: int = 1
) -> int:
    bank, slots = bank_of(streams, epoch, dependence)
    spent = budget / (streams * steps)
    return sum(int(bank.advance(slots, scores(), spent).alarm.sum()) for _ in range(steps))


@pytest.mark.parametrize("epoch", [32, 128])
@pytest.mark.parametrize("kind", ["normal", "cauchy", "coin"])
def test_false_alarms_of_all_streams_together_keep_to_the_budget(epoch: int, kind: str) -> None:
    """A budget of 40 over 500 streams: the count, of mean 40 at most, stays under mean + 3 sd."""
    rng = np.random.default_rng(3)
    draw = {
        "normal": lambda: rng.normal(size=500),
        "cauchy": lambda: rng.standard_cauchy(500),
        "coin": lambda: rng.integers(0, 2, 500).astype(float),
    }[kind]
    count = false_alarms(draw, budget=40, streams=500, steps=1_000, epoch=epoch)
    assert count <= 40 + 3 * np.sqrt(40)


def test_streams_that_move_together_keep_to_the_budget_on_average() -> None:
    """All 100 streams get the same score: alarms come in bunches, yet as few in the mean."""
    counts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        draw = lambda: np.full(100, rng.normal())  # noqa: B023, E731  used in this turn only
        counts.append(false_alarms(draw, budget=50, streams=100, steps=300, epoch=32))
    assert np.mean(counts) <= 50 + 3 * np.std(counts) / np.sqrt(60)


def test_dependence_that_is_declared_is_paid_for() -> None:
    """Moving maxima of 8 break exchangeability; declared, the budget holds again."""
    counts = []
    for dependence in (1, 8):
        rng = np.random.default_rng(4)
        noise = np.lib.stride_tricks.sliding_window_view(rng.normal(size=(1_007, 200)), 8, axis=0)
        scores = iter(noise.max(axis=2))
        counts.append(
            false_alarms(
                lambda given=scores: next(given),
                budget=20,
                streams=200,
                steps=1_000,
                epoch=128,
                dependence=dependence,
            )
        )
    assert counts[1] <= 20 < counts[0]


@pytest.mark.parametrize(("shift", "within"), [(2, 30), (3, 15), (5, 10)])
def test_a_planted_shift_is_found_soon_and_told_once(shift: float, within: int) -> None:
    """The budget is one a day over 1,000 streams of an observation a minute."""
    rng = np.random.default_rng(5)
    bank, slots = bank_of(100, epoch=512, recorded=True)
    spent = share(1, 1_000 * 1_440)
    before = sum(
        int(bank.advance(slots, rng.normal(size=100), spent).alarm.sum()) for _ in range(1_000)
    )
    after = [bank.advance(slots, rng.normal(size=100) + shift, spent).alarm for _ in range(400)]
    first = np.argmax(after, axis=0)
    assert before <= 1
    assert np.array(after).any(axis=0).all()
    assert np.quantile(first, 0.9) <= within
    assert np.array(after).sum() <= 102


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80), st.integers(1, 9))
@settings(deadline=None, max_examples=25)
def test_a_stream_gets_the_same_bits_whichever_others_ride_along(
    order: list[int], cut: int
) -> None:
    scores = np.random.default_rng(len(order)).integers(0, 5, len(order)).astype(float)
    together, slots = bank_of(4, epoch=8)
    rows = slots[order]
    judged = [
        together.advance(rows[i : i + cut], scores[i : i + cut], 0.2)
        for i in range(0, len(order), cut)
    ]
    p = np.concatenate([part.p_value for part in judged])
    for stream in set(order):
        alone, _ = bank_of(0, epoch=8)
        slot = alone.open(stream)
        own = np.array(order) == stream
        mine = alone.advance(np.full(own.sum(), slot), scores[own], 0.2)
        assert mine.p_value.tobytes() == p[own].tobytes()
        assert alone.encode(slot) == together.encode(int(slots[stream]))


@pytest.mark.parametrize("stop", [0, 1, 10, 47, 48, 200, 299])
@pytest.mark.parametrize("recorded", [False, True])
def test_a_stream_taken_up_again_goes_on_to_the_same_bits(stop: int, recorded: bool) -> None:
    rng = np.random.default_rng(6)
    scores = np.concatenate([rng.exponential(size=280), 20 + rng.exponential(size=20)])
    chosen = AlarmSettings(epoch=16, recorded=recorded, spikes=recorded, learning=64, era=100)
    whole, first, second = AlarmBank(chosen), AlarmBank(chosen), AlarmBank(chosen)
    slot, begun = whole.open(0), first.open(0)
    expected = whole.advance(np.full(300, slot), scores, 0.05)
    first.advance(np.full(stop, begun), scores[:stop], 0.05)
    second.open(1)
    taken = second.restore(first.encode(begun))
    rest = second.advance(np.full(300 - stop, taken), scores[stop:], 0.05)
    for name in ("p_value", "evidence", "alarm"):
        assert getattr(rest, name).tobytes() == getattr(expected, name)[stop:].tobytes()
    assert second.encode(taken) == whole.encode(slot)
    assert expected.alarm.any()


def test_memory_is_flat() -> None:
    bank, slots = bank_of(1, epoch=8)
    rng = np.random.default_rng(7)
    bank.advance(np.full(100, slots[0]), rng.normal(size=100), 1e-6)
    sizes = (bank.nbytes(), len(bank.encode(slots[0])))
    bank.advance(np.full(1_000_000, slots[0]), rng.normal(size=1_000_000), 1e-6)
    assert (bank.nbytes(), len(bank.encode(slots[0]))) == sizes


def test_the_largest_finite_scores_are_taken() -> None:
    bank, slots = bank_of(1)
    judged = bank.advance(np.full(50, slots[0]), np.tile([1e308, -1e308], 25), 1e-6)
    assert ((judged.p_value > 0) & (judged.p_value < 1)).all()
    assert np.isfinite(judged.evidence).all()


@pytest.mark.parametrize(
    ("scores", "shares", "column"),
    [
        ([np.nan], 0.1, "scores"),
        ([np.inf], 0.1, "scores"),
        ([1.0, 2.0], 0.1, "scores"),
        ([1.0], -0.1, "shares"),
        ([1.0], 1.1, "shares"),
        ([1.0], [0.1, 0.1], "shares"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(scores: Any, shares: Any, column: str) -> None:
    bank, slots = bank_of(1)
    before = bank.encode(slots[0])
    with pytest.raises(InvalidColumnError, match=f"column '{column}'"):
        bank.advance(slots, scores, shares)
    assert bank.encode(slots[0]) == before


def test_a_budget_is_shared_by_all_observations_of_a_day() -> None:
    assert share(1, 1_440_000) == 1 / 1_440_000
    assert share(5, 2) == 1.0
    for wrong in ((0, 10), (1, 0), (-1, 10), (float("nan"), 10)):
        with pytest.raises(ModelError):
            share(*wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epoch": 4},
        {"dependence": 0},
        {"epoch": 100_000},
        {"learning": 1},
        {"era": 0},
        {"spikes": True, "recorded": False},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        AlarmSettings(**wrong)


def test_what_is_not_there_or_kept_otherwise_is_refused() -> None:
    bank, (slot,) = bank_of(1, epoch=16)
    other, _ = bank_of(0, epoch=32)
    with pytest.raises(ArtifactError, match="was made with"):
        other.restore(bank.encode(slot))
    with pytest.raises(ModelError, match="no stream has slot 5"):
        bank.advance(np.array([5]), np.array([1.0]), 0.1)
    bank.close(slot)
    assert len(bank) == 0
