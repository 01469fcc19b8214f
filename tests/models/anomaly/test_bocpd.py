"""Change points of streams: exact where nothing is folded, bounded where something is."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly.bocpd import RegimeBank, Scale
from models.anomaly.bocpd_settings import BocpdSettings
from models.errors import ArtifactError, InvalidColumnError, ModelError

UNIT = Scale(np.zeros(1), np.ones(1))


def unit(dimensions: int) -> Scale:
    return Scale(np.zeros(dimensions), np.ones(dimensions))


def shifts(seed: int, *levels: float, length: int = 60, dimensions: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(length * len(levels), dimensions))
    return noise + np.repeat(levels, length)[:, None]


def bits(answers: Any) -> list[bytes]:
    return [array.tobytes() for array in vars(answers).values()]


FAMILIES = [
    (BocpdSettings(), 1),
    (BocpdSettings(kappa=0.1, alpha=2, beta=0.5, expected_run=20, weight=0.3), 2),
    (BocpdSettings(family="trend", kappa=0.1), 1),
    (BocpdSettings(family="trend", slope_kappa=7, weight=0.5), 2),
    (BocpdSettings(family="poisson", alpha=3), 2),
    (BocpdSettings(family="wishart"), 1),
    (BocpdSettings(family="wishart", kappa=0.3, alpha=1.5, beta=2), 3),
]


@pytest.mark.parametrize(("chosen", "dimensions"), FAMILIES)
def test_posterior_surprise_and_segments_are_those_of_the_definition(
    exact_run_lengths: Any, chosen: BocpdSettings, dimensions: int
) -> None:
    values = shifts(1, 2.0, -1.0, 3.0, length=25, dimensions=dimensions)
    if chosen.family == "poisson":
        values = np.floor(np.abs(3 * values))
    exact, surprise, segment = exact_run_lengths(chosen, values)
    bank = RegimeBank(chosen, dimensions=dimensions)
    slot = bank.open(unit(dimensions))
    for t, row in enumerate(values):
        answer = bank.advance(np.array([slot]), row[None])
        lengths, p = bank.run_lengths(slot)
        expected = np.exp(exact[t])
        mine = np.zeros(t + 1)
        mine[t + 1 - lengths] = p
        np.testing.assert_allclose(mine, expected, rtol=1e-7, atol=1e-10)
        assert answer.surprise[0] == pytest.approx(surprise[t], rel=1e-9)
        assert answer.segment[0] == segment[t]
        young = expected[max(1, t + 1 - chosen.recent) :].sum()
        assert answer.change_probability[0] == pytest.approx(young, abs=1e-9)


def test_the_regime_is_described_by_its_own_observations() -> None:
    values = 1_000 + 50 * shifts(2, 0.0, 8.0)
    bank = RegimeBank(BocpdSettings(kappa=0.1))
    slot = bank.open()
    answer = bank.advance(np.full(120, slot), values, when=60.0 * np.arange(120.0))
    last = values[60:, 0]
    assert (answer.start[-1], answer.began[-1], answer.run_length[-1]) == (60, 3_600.0, 60)
    assert answer.mean[-1, 0] == pytest.approx(last.mean())
    assert answer.sd[-1, 0] == pytest.approx(last.std(ddof=1))
    assert [tuple(s) for s in bank.segments(slot)] == [(0, 0.0), (60, 3_600.0)]


def test_the_very_first_observations_are_one_regime() -> None:
    values = np.arange(4.0)[:, None]
    bank = RegimeBank()
    slot = bank.open()
    answer = bank.advance(np.full(4, slot), values, when=5.0)
    assert answer.change_probability.max() == 0
    np.testing.assert_array_equal(answer.run_length, np.arange(1, 5))
    assert answer.mean[-1, 0] == pytest.approx(1.5)
    assert answer.sd[-1, 0] == pytest.approx(values.std(ddof=1))
    assert answer.began[-1] == 5.0


def test_a_change_is_announced_once_and_soon() -> None:
    bank = RegimeBank(BocpdSettings(kappa=0.1))
    slot = bank.open()
    answer = bank.advance(np.full(400, slot), shifts(3, 0.0, 5.0, length=200))
    (announced,) = np.flatnonzero(answer.change_point)
    assert 200 <= announced <= 206
    assert answer.change_probability[announced + 2] > 0.99
    assert answer.change_probability[100:200].max() < 0.5
    assert answer.change_probability[-1] < 0.1


def test_the_change_probability_is_not_the_hazard() -> None:
    bank = RegimeBank()
    slot = bank.open(UNIT)
    steady = bank.advance(np.full(500, slot), np.zeros((500, 1)))
    assert steady.change_probability[-1] != pytest.approx(0.01, rel=0.5)
    often = RegimeBank()
    other = often.open(UNIT)
    answer = often.advance(np.full(500, other), np.zeros((500, 1)), expected_run=20.0)
    assert answer.change_probability[-1] > steady.change_probability[-1]


def test_units_do_not_matter() -> None:
    values = shifts(4, 0.0, 4.0, -3.0)
    found = []
    for factor, offset in ((1.0, 0.0), (1e-6, 0.0), (1e9, 1e12)):
        bank = RegimeBank()
        slot = bank.open()
        bank.advance(np.full(len(values), slot), values * factor + offset)
        found.append([s.start for s in bank.segments(slot)])
    assert found[0] == found[1] == found[2] == [0, 60, 120]


def test_a_deploy_that_changed_the_regime_is_told_from_one_that_did_not() -> None:
    values = shifts(5, 0.0, 3.0, length=100)
    bank = RegimeBank(BocpdSettings(kappa=0.1))
    slot = bank.open()
    bank.advance(np.full(120, slot), values[:120], when=np.arange(120.0))
    assert bank.began_between(slot, 95, 105) > 0.95
    assert bank.began_between(slot, 106, 1e9) < 0.05
    assert bank.began_between(slot, -1e9, 1e9) <= 1


def test_a_streams_beginning_is_no_change() -> None:
    bank = RegimeBank()
    slot = bank.open(UNIT)
    answer = bank.advance(np.full(3, slot), np.zeros((3, 1)), when=np.arange(3.0))
    assert answer.change_probability[0] == 0
    assert bank.began_between(slot, -1, 0.5) == 0


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 20))
@settings(deadline=None, max_examples=30)
def test_a_stream_gets_the_same_bits_whichever_others_ride_along(
    order: list[int], cut: int
) -> None:
    rng = np.random.default_rng(len(order))
    values = rng.normal(size=(len(order), 1)) * rng.choice([1, 5], (len(order), 1))
    chosen = BocpdSettings(hypotheses=8, warmup=3)
    together = RegimeBank(chosen)
    slots = np.array([together.open() for _ in range(5)])[order]
    parts = [
        together.advance(slots[i : i + cut], values[i : i + cut]) for i in range(0, len(order), cut)
    ]
    surprise = np.concatenate([part.surprise for part in parts])
    for stream in set(order):
        alone = RegimeBank(chosen)
        slot = alone.open()
        own = np.array(order) == stream
        answer = alone.advance(np.full(own.sum(), slot), values[own])
        assert answer.surprise.tobytes() == surprise[own].tobytes()
        assert alone.encode(slot) == together.encode(int(slots[own][0]))


@pytest.mark.parametrize(("chosen", "dimensions"), FAMILIES)
def test_a_stream_taken_up_again_goes_on_to_the_same_bits(
    chosen: BocpdSettings, dimensions: int
) -> None:
    values = np.abs(np.floor(shifts(6, 4.0, 9.0, 1.0, length=70, dimensions=dimensions)))
    whole = RegimeBank(chosen, dimensions=dimensions)
    slot = whole.open()
    expected = whole.advance(np.full(210, slot), values, when=np.arange(210.0))
    for stop in (0, 5, 16, 100, 209):
        first = RegimeBank(chosen, dimensions=dimensions)
        begun = first.open()
        before = first.advance(np.full(stop, begun), values[:stop], when=np.arange(float(stop)))
        second = RegimeBank.like(first.encode(begun))
        second.open()
        taken = second.restore(first.encode(begun))
        rest = second.advance(
            np.full(210 - stop, taken), values[stop:], when=np.arange(stop, 210.0)
        )
        joined = [
            np.concatenate(pair).tobytes()
            for pair in zip(vars(before).values(), vars(rest).values(), strict=True)
        ]
        assert joined == bits(expected)
        assert second.encode(taken) == whole.encode(slot)
        assert second.segments(taken) == whole.segments(slot)


def test_looking_leaves_no_trace() -> None:
    bank = RegimeBank()
    slot = bank.open()
    bank.advance(np.full(120, slot), shifts(7, 0.0, 4.0))
    before = bank.encode(slot)
    bank.run_lengths(slot)
    bank.segments(slot)
    bank.began_between(slot, 0, 1)
    assert bank.encode(slot) == before


def relative_move(before: Any, after: Any) -> float:
    """Probability times relative change of run length, from one posterior to another."""
    lengths = np.union1d(before[0], after[0])
    under = [np.array([p[r <= at].sum() for at in lengths]) for r, p in (before, after)]
    gaps = np.diff(lengths) / lengths[1:]
    return float((np.abs(under[0] - under[1])[:-1] * gaps).sum())


@pytest.mark.parametrize("hypotheses", [8, 16, 32])
def test_one_step_of_folding_moves_no_more_than_is_stated(hypotheses: int) -> None:
    """The same state is advanced once with room for all hypotheses and once without."""
    small = RegimeBank(BocpdSettings(hypotheses=hypotheses))
    large = RegimeBank(BocpdSettings(hypotheses=hypotheses + 1))
    slot, other = small.open(UNIT), large.open(UNIT)
    moved = []
    for n, x in enumerate(shifts(8, 0.0, 2.0, 2.5, 0.0, length=150)):
        for kept, copy in zip(small._streams, large._streams, strict=True):
            if kept.ndim > 1 and kept.shape[1] == hypotheses:
                copy[other, :hypotheses] = kept[slot]
            else:
                copy[other] = kept[slot]
        small.advance(np.array([slot]), x[None])
        large.advance(np.array([other]), x[None])
        move = relative_move(large.run_lengths(other), small.run_lengths(slot))
        assert move <= np.log(n + 2) / (hypotheses - 3) ** 2 + 1e-9
        moved.append(move)
    assert max(moved) > 0


@pytest.mark.parametrize("levels", [(0.0,) * 6, (0.0, 2.0, -2.0, 0.0, 1.0, 0.0)])
def test_folding_changes_the_answers_little(levels: tuple[float, ...]) -> None:
    values = shifts(9, *levels, length=250)
    answers = []
    for hypotheses in (len(values) + 2, 64):
        bank = RegimeBank(BocpdSettings(hypotheses=hypotheses, kappa=0.1))
        slot = bank.open(UNIT)
        answer = bank.advance(np.full(len(values), slot), values)
        answers.append((answer, bank.run_lengths(slot), [s.start for s in bank.segments(slot)]))
    (exact, p, starts), (folded, q, found) = answers
    assert np.abs(exact.change_probability - folded.change_probability).max() < 0.02
    assert np.abs(exact.surprise - folded.surprise).max() < 0.05
    assert relative_move(p, q) < 0.05
    assert starts == found


def test_a_step_costs_the_same_after_a_million_observations() -> None:
    bank = RegimeBank(BocpdSettings(hypotheses=16))
    slot = bank.open()
    rng = np.random.default_rng(10)
    sizes, seconds, lengths = set(), [], []
    for _ in range(20):
        values = rng.normal(size=(50_000, 1)) + rng.normal(0, 3)
        began = time.process_time()
        bank.advance(np.full(50_000, slot), values)
        seconds.append(time.process_time() - began)
        sizes.add(bank.nbytes())
        lengths.append(len(bank.encode(slot)))
    assert len(sizes) == 1
    assert max(lengths) < 1.5 * min(lengths)
    assert bank.run_lengths(slot)[0].size <= 16
    assert min(seconds[-5:]) < 2 * min(seconds[:5])
    assert bank._streams.total[slot] == 1_000_000


def test_only_the_latest_segments_are_kept() -> None:
    values = np.repeat(np.tile([0.0, 50.0], 100), 10)[:, None]
    values = values + np.random.default_rng(11).normal(size=values.shape)
    bank = RegimeBank(BocpdSettings(kappa=0.1, expected_run=10))
    slot = bank.open(UNIT)
    bank.advance(np.full(2_000, slot), values)
    starts = np.array([s.start for s in bank.segments(slot)])
    true = np.arange(2_000 - 10 * len(starts), 2_000, 10)
    assert np.abs(starts - true).max() <= 1
    assert 12 <= len(starts) < 199


@pytest.mark.parametrize("family", ["level", "trend", "wishart"])
@pytest.mark.parametrize(
    "values",
    [[1e308, -1e308, 1e308] * 10, [7.0] * 40, [0.0] * 40, [7.0] * 39 + [7.1], [1e-300] * 40],
)
def test_the_strangest_finite_values_leave_it_sane(family: Any, values: list[float]) -> None:
    bank = RegimeBank(BocpdSettings(family=family), dimensions=2)
    slot = bank.open()
    rows = np.array([values, values[::-1]]).T
    answer = bank.advance(np.full(len(rows), slot), rows)
    later = bank.advance(np.full(50, slot), np.random.default_rng(0).normal(size=(50, 2)))
    for told in (answer, later):
        assert all(np.isfinite(array).all() for array in vars(told).values())
        assert ((told.change_probability >= 0) & (told.change_probability <= 1)).all()
    assert bank.run_lengths(slot)[1].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[np.nan]], "row 0 is"),
        ([[np.inf]], "row 0 is"),
        ([[1.0, 2.0]], "must be numbers, 1 to a row"),
        ([[1.0], [2.0]], "has 2 rows, but slots has 1"),
        ([1.0], "must be numbers"),
    ],
)
def test_bad_values_are_refused_and_change_nothing(values: Any, reason: str) -> None:
    bank = RegimeBank()
    slot = bank.open()
    before = bank.encode(slot)
    with pytest.raises(InvalidColumnError, match=reason):
        bank.advance(np.array([slot]), np.array(values))
    assert bank.encode(slot) == before


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_what_is_no_count_is_refused(value: float) -> None:
    bank = RegimeBank(BocpdSettings(family="poisson"))
    slot = bank.open()
    with pytest.raises(InvalidColumnError, match="counts must be whole numbers"):
        bank.advance(np.array([slot]), np.array([[value]]))


def test_counts_follow_their_rate() -> None:
    rng = np.random.default_rng(12)
    counts = np.concatenate([rng.poisson(3, 100), rng.poisson(9, 100)])[:, None]
    bank = RegimeBank(BocpdSettings(family="poisson"))
    slot = bank.open()
    answer = bank.advance(np.full(200, slot), counts)
    assert abs(answer.start[-1] - 100) <= 3
    assert answer.mean[-1, 0] == pytest.approx(counts[answer.start[-1] :].mean())
    huge = bank.advance(np.array([slot]), np.array([[1e308]]))
    assert np.isfinite(huge.surprise).all()


def test_correlated_dimensions_show_a_break_that_neither_shows_alone() -> None:
    rng = np.random.default_rng(13)
    shared = rng.normal(size=(200, 1))
    values = shared * [1.0, 1.0] + 0.1 * rng.normal(size=(200, 2))
    values[100:, 1] = -values[100:, 1]
    change = {}
    for family in ("level", "wishart"):
        bank = RegimeBank(BocpdSettings(family=family, kappa=0.1), dimensions=2)
        slot = bank.open()
        change[family] = bank.advance(np.full(200, slot), values).change_probability[100:110].max()
    assert change["wishart"] > 0.9 > change["level"]


def test_streams_that_are_not_there_are_refused() -> None:
    bank = RegimeBank()
    slot = bank.open()
    bank.close(slot)
    assert len(bank) == 0
    for use in (bank.encode, bank.segments, bank.run_lengths, bank.close):
        with pytest.raises(ModelError, match="no stream has slot 0"):
            use(slot)
    with pytest.raises(ModelError):
        bank.advance(np.array([slot]), np.array([[1.0]]))


def test_a_slot_used_again_remembers_nothing() -> None:
    bank, fresh = RegimeBank(), RegimeBank()
    slot = bank.open()
    bank.advance(np.full(120, slot), shifts(14, 0.0, 9.0))
    bank.close(slot)
    assert bank.open() == slot
    assert bank.encode(slot) == fresh.encode(fresh.open())


def test_a_stream_kept_otherwise_is_refused() -> None:
    bank = RegimeBank()
    data = bank.encode(bank.open())
    other = RegimeBank(BocpdSettings(kappa=0.5))
    with pytest.raises(ArtifactError, match="was made with"):
        other.restore(data)
    assert len(other) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"kappa": 0.0},
        {"expected_run": 1.0},
        {"weight": 1.5},
        {"hypotheses": 4},
        {"family": "cauchy"},
        {"warmup": 1},
        {"beta": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        BocpdSettings(**wrong)


@pytest.mark.parametrize("spread", [0.0, -1.0, np.nan])
def test_a_scale_that_is_none_is_refused(spread: float) -> None:
    with pytest.raises(ModelError, match="cannot be a scale"):
        RegimeBank().open(Scale(np.zeros(1), np.array([spread])))
