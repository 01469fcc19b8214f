"""What is said of a stream while its scale is still being learnt from its first observations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.quality import first_values, null_streams, young_streams
from models.anomaly.bocpd import RegimeBank, Regimes, Scale
from models.anomaly.bocpd_settings import BocpdSettings
from models.protocols import FloatArray

SHIFTED = np.array([1.0, 1.1, 0.9, 1.05, 5.0, 5.1, 4.9])
UNIT = Scale(np.zeros(1), np.ones(1))


def regimes_of(values: FloatArray, scale: Scale | None = None, by: int = 0) -> Regimes:
    """Advance a new stream by these values, all in one call or so many at a time."""
    bank = RegimeBank()
    slot = bank.open(scale)
    parts = [
        bank.advance(np.full(len(part), slot), part[:, None])
        for part in (np.split(values, range(by, len(values), by)) if by else [values])
    ]
    columns = [vars(part) for part in parts]
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    return Regimes(**joined)


def test_a_shift_among_the_first_values_is_a_change_point() -> None:
    answer = regimes_of(SHIFTED)
    assert np.flatnonzero(answer.change_point).tolist() == [5]  # the second value of the new level
    assert answer.change_probability[5:].min() > 0.9
    assert answer.start[-1] == 4
    assert answer.mean[-1, 0] == pytest.approx(5.0)


@pytest.mark.parametrize("before", [3, 4, 5, 6, 7])
def test_a_change_that_was_found_is_not_lost_where_both_levels_have_as_many_values(
    before: int,
) -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(4, 0.1, before), rng.normal(130, 3, 16 - before)])
    answer = regimes_of(values)
    assert (answer.start[max(before + 1, 5) :] >= before).all()


@pytest.mark.parametrize("between", [30.0, 120.0, 200.0])
def test_a_value_that_is_half_old_half_new_hides_no_change(between: float) -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(4, 0.1, 4), [between], rng.normal(248, 0.5, 11)])
    answer = regimes_of(values)
    assert (answer.start[8:] >= 4).all()  # from the fourth value of the new level on


def test_it_is_announced_once_and_stays_the_regime_when_the_scale_is_learnt() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(1, 0.1, 6), rng.normal(5, 0.1, 30)])
    answer = regimes_of(values)
    (announced,) = np.flatnonzero(answer.change_point)
    assert 6 <= announced <= 9
    assert answer.start[-1] == 6


@given(
    st.lists(st.integers(-50, 50), min_size=5, max_size=24),
    st.sampled_from([1e-9, 0.37, 1e9]),
    st.sampled_from([0.0, -3.0, 1e3]),
)
def test_neither_unit_nor_origin_matters(values: list[int], factor: float, origin: float) -> None:
    given_ = np.array(values, dtype=np.float64)
    plain, other = regimes_of(given_), regimes_of((given_ + origin) * factor)
    np.testing.assert_allclose(plain.change_probability, other.change_probability, atol=1e-6)


@pytest.mark.parametrize("by", [1, 2, 5])
def test_one_by_one_and_all_at_once_are_the_same_to_the_bit(by: int) -> None:
    values = np.random.default_rng(7).normal(size=30)
    whole, parts = regimes_of(values), regimes_of(values, by=by)
    for name, column in vars(whole).items():
        assert column.tobytes() == vars(parts)[name].tobytes(), name


@pytest.mark.parametrize(
    "draw",
    [
        null_streams.white_noise,
        null_streams.heavy_tails,
        null_streams.autoregression,
        null_streams.lognormal,
        null_streams.rare_counts,
        young_streams.exponential,
        young_streams.half_zeros,
        young_streams.moving_average,
        young_streams.trend,
    ],
)
def test_without_a_change_the_first_values_seldom_announce_one(draw: null_streams.Draw) -> None:
    found, _ = first_values.announced(draw(16, 400, np.random.default_rng(11)))
    assert found.any(axis=0).mean() < 0.06


def test_a_large_shift_after_eight_values_is_nearly_always_announced() -> None:
    values = np.random.default_rng(13).standard_normal((12, 400))
    values[8:] += 8
    found, _ = first_values.announced(values)
    assert found.any(axis=0).mean() > 0.92


def test_a_lone_spike_is_no_change_and_a_level_that_repeats_is_one() -> None:
    spike = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 50.0, 1.0, 1.02, 0.98, 1.1])
    assert not regimes_of(spike).change_point.any()
    assert not regimes_of(spike).change_probability.any()
    step = np.repeat([0.0, 5.0], 6)
    answer = regimes_of(step)
    assert answer.change_point.sum() == 1
    assert answer.start[-1] == 6


def test_a_long_expected_run_asks_for_more_evidence() -> None:
    bank = RegimeBank()
    slot = bank.open()
    answer = bank.advance(np.full(7, slot), SHIFTED[:, None], expected_run=1e6)
    assert not answer.change_point.any()


def test_what_began_among_the_first_values_needs_more_evidence_afterwards() -> None:
    """The scale was learnt from them: two of the noise's own values are not enough."""
    values = np.random.default_rng(5).standard_normal(20) + np.repeat([0.0, 3.0], [13, 7])
    given, learnt = regimes_of(values, UNIT), regimes_of(values)
    assert given.change_point[:16].any()
    assert not learnt.change_point[:16].any()


def test_the_published_protocol_is_reached_by_giving_the_scale() -> None:
    standardised = (SHIFTED - SHIFTED.mean()) / SHIFTED.std(ddof=1)
    settings = BocpdSettings()
    assert (settings.kappa, settings.alpha, settings.beta) == (1.0, 1.0, 1.0)
    answer = regimes_of(standardised, UNIT)
    assert not answer.warming.any()
    assert answer.surprise.min() > 0  # predicted from the first value on, by the fixed prior


def test_a_stream_that_an_older_release_left_while_it_learnt_goes_on() -> None:
    """That release had put values aside, and no filter had begun."""
    bank = RegimeBank()
    slot = bank.open()
    bank.advance(np.full(6, slot), SHIFTED[:6, None])
    streams = bank._streams
    for array in (streams.total, streams.size, streams.paths, streams.told):
        array[slot] = 0
    again = RegimeBank()
    restored = again.restore(bank.encode(slot))
    answer = again.advance(np.array([restored]), SHIFTED[6:, None])
    assert (
        answer.change_probability.tobytes() == regimes_of(SHIFTED).change_probability[-1:].tobytes()
    )
