"""How long surprises last: nothing of noise, an autoregression's powers, all of a moved level."""

import numpy as np
import pytest

from models.forecasting.forecaster import LONGEST_HORIZON
from models.forecasting.lasting import USUAL, lasting, lasting_of_all
from models.protocols import FloatArray

HOURS = 600
DAY = 100 * np.exp(0.6 * np.sin(2 * np.pi * np.arange(HOURS) / 24))


def autoregression(share: float, rng: np.random.Generator) -> FloatArray:
    found = np.zeros(HOURS)
    for hour in range(1, HOURS):
        found[hour] = share * found[hour - 1] + 0.1 * rng.normal()
    return found


def mean_of_many(errors: list[FloatArray]) -> FloatArray:
    found = [lasting(DAY * np.exp(each)) for each in errors]
    return np.asarray(np.mean([each for each in found if each is not None], axis=0))


@pytest.mark.parametrize("share", [0.0, -0.6])
def test_surprises_without_a_memory_leave_nothing(share: float) -> None:
    rng = np.random.default_rng(1)
    left = mean_of_many([autoregression(share, rng) for _ in range(40)])
    assert left.max() < 0.03


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_an_autoregression_leaves_its_powers(share: float) -> None:
    rng = np.random.default_rng(2)
    left = mean_of_many([autoregression(share, rng) for _ in range(40)])
    np.testing.assert_allclose(left, share ** np.arange(1, LONGEST_HORIZON + 1), atol=0.08)


def test_noise_on_an_autoregression_lowers_what_is_left_and_not_how_long_it_lasts() -> None:
    rng = np.random.default_rng(3)
    errors = [autoregression(0.9, rng) + 0.15 * rng.normal(size=HOURS) for _ in range(40)]
    left = mean_of_many(errors)
    assert 0.5 < left[0] < 0.8
    assert 0.8 < left[1] / left[0] < 0.95


def test_a_level_that_has_moved_lasts_for_all_hours() -> None:
    rng = np.random.default_rng(4)
    moved = np.where(np.arange(HOURS) >= HOURS - 48, np.log(3.0), 0.0)
    left = lasting(DAY * np.exp(moved + 0.1 * rng.normal(size=HOURS)))
    assert left is not None
    assert left[0] > 0.9
    assert left[-1] > 0.6


def test_hours_without_a_rate_are_no_surprises() -> None:
    rng = np.random.default_rng(5)
    rates = DAY * np.exp(autoregression(0.9, rng))
    rates[rng.random(HOURS) < 0.2] = np.nan
    rates[np.arange(HOURS) % 24 < 6] = 0.0
    left = lasting(rates)
    assert left is not None
    assert 0.7 < left[0] <= 1.0


@pytest.mark.parametrize("rates", [np.full(HOURS, 7.0), DAY])
def test_what_never_surprises_leaves_nothing(rates: FloatArray) -> None:
    left = lasting(rates)
    assert left is not None
    assert not left.any()


def test_who_is_too_young_to_say_is_taken_as_the_others() -> None:
    rng = np.random.default_rng(6)
    old, young = DAY * np.exp(autoregression(0.9, rng)), DAY[:60]
    assert lasting(young) is None
    assert lasting(np.zeros(0)) is None
    of_old, of_young = lasting_of_all([old, young])
    np.testing.assert_array_equal(of_young, of_old)
    (alone,) = lasting_of_all([young])
    np.testing.assert_array_equal(alone, USUAL)


def test_days_say_it_before_there_are_weeks() -> None:
    rng = np.random.default_rng(7)
    left = lasting((DAY * np.exp(autoregression(0.9, rng)))[:160])
    assert left is not None
    assert left[0] > 0.6
