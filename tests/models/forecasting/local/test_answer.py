"""What every answer keeps to, whatever the series."""

from collections.abc import Callable

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.forecasting.local.answer import forecast_series
from models.forecasting.local.cadence import Cadence
from models.forecasting.local.question import LocalForecast, Question
from models.protocols import FloatArray

DAILY, HOURLY = Cadence.parse("1d"), Cadence.parse("1h")
LEVELS = (0.5, 0.8, 0.95, 0.999)
DRAW = np.random.default_rng(11)
SERIES = {
    "one value": np.array([4.0]),
    "nine values": DRAW.normal(size=9),
    "constant": np.full(60, -3.0),
    "noughts": np.zeros(50),
    "intermittent": (DRAW.random(200) < 0.1) * DRAW.integers(1, 9, 200).astype(float),
    "huge": np.cumsum(DRAW.normal(size=90)) * 1e98,
    "tiny": (5 + DRAW.normal(size=90)) * 1e-98,
    "two sizes": np.where(np.arange(80) % 9 == 0, 1e90, 1.0),
    "half missing": np.where(DRAW.random(150) < 0.5, np.nan, 9 + DRAW.normal(size=150)),
    "begins late": np.concatenate([np.full(40, np.nan), 9 + DRAW.normal(size=40)]),
    "ends early": np.concatenate([9 + DRAW.normal(size=40), np.full(40, np.nan)]),
    "exponential": np.exp(np.arange(80) * 0.9),
    "both signs": DRAW.standard_cauchy(300),
    "two values ever": np.r_[np.zeros(60), 1.0],
}


def ask(values: FloatArray, horizon: int = 30, cadence: Cadence = DAILY) -> LocalForecast:
    return forecast_series(Question(values, cadence, horizon, LEVELS))


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("horizon", [1, 30, 500])
def test_any_series_has_an_answer_whose_numbers_hold_together(name: str, horizon: int) -> None:
    found = ask(SERIES[name], horizon)
    assert np.isfinite(found.point).all()
    assert sum(found.weights.values()) == pytest.approx(1)
    if found.interval_reason is not None:
        assert np.isnan(found.lower).all()
        assert np.isnan(found.upper).all()
        return
    assert np.isfinite(found.lower).all()
    assert np.isfinite(found.upper).all()
    assert (found.lower <= found.point + 1e-9 * np.abs(found.point)).all()
    assert (found.point - 1e-9 * np.abs(found.point) <= found.upper).all()
    assert (np.diff(found.lower, axis=0) <= 0).all()
    assert (np.diff(found.upper, axis=0) >= 0).all()


@pytest.mark.parametrize("name", SERIES)
def test_the_same_question_has_the_same_bits(name: str) -> None:
    one = ask(SERIES[name])
    ask(np.arange(50.0))
    # In another place of memory, as a part of another array.
    apart = np.concatenate([[0.0], SERIES[name], [0.0]])[1:-1]
    other = ask(apart)
    for part in ("point", "lower", "upper"):
        assert getattr(one, part).tobytes() == getattr(other, part).tobytes()
    assert one.weights == other.weights


def test_without_a_value_there_is_no_answer() -> None:
    with pytest.raises(TrainingDataError, match="no value was measured"):
        ask(np.full(5, np.nan))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_several_are_nought_and_none_negative_none_is_forecast_to_be(sign: float) -> None:
    values = np.abs(np.random.default_rng(2).normal(size=80))
    values[[3, 30, 50]] = 0.0
    found = ask(sign * values)
    assert ((found.lower >= 0).all() and (found.point >= 0).all()) == (sign > 0)


def falling(draw: np.random.Generator) -> FloatArray:
    """Give a day's temperature from autumn to winter, nought for the first time ahead."""
    noise = 1.5 * draw.normal(size=134)
    for at in range(1, 134):
        noise[at] += 0.7 * noise[at - 1]
    values = 11 + 11 * np.cos(2 * np.pi * np.arange(134) / 280) + noise
    values[:120] = np.abs(values[:120])
    return values


def test_that_all_were_positive_so_far_is_no_floor() -> None:
    held = []
    for seed in range(30):
        values = falling(np.random.default_rng([seed, 6]))
        past, truth = values[:120], values[120:]
        found = ask(past, 14)
        held.append(((found.lower <= truth) & (truth <= found.upper)).mean(axis=1))
        assert (np.min(found.lower) < 0) == any("least: 0" in note for note in found.notes)
        floored = forecast_series(Question(past, DAILY, 14, LEVELS, least=0.0))
        assert np.min(floored.lower) >= 0
        assert np.min(floored.point) >= 0
    assert np.mean(held, axis=0)[2] > 0.85


@pytest.mark.parametrize("kind", ["season", "walk", "trend"])
def test_intervals_hold_as_often_as_they_say(kind: str) -> None:
    draw = np.random.default_rng(7)
    held = []
    for _ in range(60):
        at, noise = np.arange(324), draw.normal(size=324)
        values = {
            "season": 10 * np.sin(2 * np.pi * at / 24) + noise,
            "walk": np.cumsum(noise),
            "trend": 0.3 * at + noise,
        }[kind]
        found = ask(values[:300], 24, HOURLY)
        held.append(((found.lower <= values[300:]) & (values[300:] <= found.upper)).mean(axis=1))
    shares = np.mean(held, axis=0)
    for share, level in zip(shares, LEVELS, strict=True):
        assert abs(share - level) < 0.09, (kind, level)


def test_a_walks_intervals_widen_and_past_what_was_seen_go_on_widening() -> None:
    values = np.cumsum(np.random.default_rng(3).normal(size=60))
    found = ask(values, 200)
    width = found.upper[2] - found.lower[2]
    assert (np.diff(width) >= -1e-9).all()
    assert width[199] > 1.5 * width[20]


def test_seasons_beat_the_last_value_and_the_season_before() -> None:
    draw = np.random.default_rng(4)
    ours, naive = [], []
    for _ in range(20):
        at = np.arange(400)
        values = 50 + 9 * np.sin(2 * np.pi * at / 24) + draw.normal(size=400)
        truth = values[376:]
        ours.append(np.abs(ask(values[:376], 24, HOURLY).point - truth).mean())
        naive.append(np.abs(values[352:376] - truth).mean())
    assert np.mean(ours) < 0.85 * np.mean(naive)


def test_coverage_so_far_is_counted_and_null_where_it_cannot_be() -> None:
    found = ask(np.random.default_rng(6).normal(size=200), 10)
    assert found.coverage is not None
    assert found.coverage_points >= 20
    assert list(found.coverage) == sorted(found.coverage)
    short = ask(np.random.default_rng(6).normal(size=9), 1)
    assert short.coverage is None
    assert short.coverage_reason


@pytest.mark.parametrize("gap", [24, 72])
def test_intervals_hold_as_often_where_values_are_missing_at_the_end(gap: int) -> None:
    held = []
    for seed in range(40):
        walk = np.cumsum(np.random.default_rng([seed, gap]).normal(size=324 + gap))
        past, truth = np.concatenate([walk[:300], np.full(gap, np.nan)]), walk[-24:]
        found = ask(past, 24, HOURLY)
        held.append(((found.lower <= truth) & (truth <= found.upper)).mean(axis=1))
    assert np.mean(held, axis=0)[2] > 0.8


def test_what_is_missing_at_the_end_is_told() -> None:
    values = 9 + np.random.default_rng(1).normal(size=60)
    assert not ask(values).notes
    (note,) = ask(np.concatenate([values, np.full(5, np.nan)]), 30, HOURLY).notes
    assert "5 of them" in note
    assert "6 steps (6 h)" in note


@pytest.mark.parametrize(("count", "gap"), [(40, 41), (600, 501), (3, 501)])
def test_a_last_value_that_is_too_old_is_refused_in_words(count: int, gap: int) -> None:
    values = np.random.default_rng(1).normal(size=count)
    with pytest.raises(TrainingDataError, match=f"{gap + 1} steps"):
        ask(np.concatenate([values, np.full(gap, np.nan)]))
    assert np.isfinite(
        ask(np.concatenate([values, np.full(min(gap - 1, 500), np.nan)])).point
    ).all()


def drained(draw: np.random.Generator) -> FloatArray:
    at = np.arange(124)
    found: FloatArray = np.maximum(20 * (1 - at / 100), 0) + np.abs(0.3 * draw.normal(size=124))
    return found + 0.01


def first_weekend(draw: np.random.Generator) -> FloatArray:
    hour = np.arange(154)
    busy = 500 + 300 * np.sin(2 * np.pi * hour / 24)
    found: FloatArray = np.where(hour // 24 < 5, busy, 0.2) * np.exp(0.15 * draw.normal(size=154))
    return found


@pytest.mark.parametrize("drawn", [drained, first_weekend])
def test_forecasts_on_logarithms_leave_no_range_of_the_values(
    drawn: Callable[[np.random.Generator], FloatArray],
) -> None:
    ours, repeated = [], []
    for seed in range(20):
        values = drawn(np.random.default_rng([seed, 5]))
        past, truth = values[:-24], values[-24:]
        point = ask(past, 24, HOURLY).point
        assert np.max(point) <= 2 * np.max(past)
        ours.append(np.abs(point - truth).mean())
        repeated.append(np.ptp(past))
    # What is near nought for the first time may be taken for high again, but for no more.
    assert np.mean(ours) < np.mean(repeated)
