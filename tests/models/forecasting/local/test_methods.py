"""Each method beside a second implementation that is plain and slow."""

import numpy as np
import pytest

from models.forecasting.local.cadence import Cadence
from models.forecasting.local.members import members_of, repeat_season
from models.forecasting.local.origins import origins_of, truths_of
from models.forecasting.local.regression import regressed
from models.forecasting.local.seasons import seasons_of
from models.forecasting.local.smoothing_kernel import Weights, smooth
from models.protocols import FloatArray

HORIZON = 6


def drawn(count: int = 120, season: int = 12, seed: int = 3) -> FloatArray:
    at = np.arange(count)
    noise = np.random.default_rng(seed).normal(0, 0.4, count)
    found: FloatArray = 20 + 5 * np.sin(2 * np.pi * at / season) + 0.02 * at + noise
    return found


def plainly_smoothed(values: FloatArray, season: int, weights: Weights, span: int) -> FloatArray:
    """Holt and Winters, with Taylor's autoregression of errors, by the book."""
    level = float(np.mean(values[:span]))
    offsets = [np.append(values[:span][place::season] - level, 0).mean() for place in range(season)]
    slope = error = 0.0
    for at, value in enumerate(values):
        expected = level + weights.damping * slope + offsets[at % season]
        surprise = value - expected - weights.error * error
        error = value - expected
        level += weights.damping * slope + weights.level * surprise
        slope = weights.damping * slope + weights.trend * surprise
        offsets[at % season] += weights.short_season * surprise
    ahead = np.arange(1, HORIZON + 1)
    trend = slope * np.cumsum(weights.damping**ahead)
    seasonal = [offsets[(len(values) + step) % season] for step in range(HORIZON)]
    found: FloatArray = level + trend + np.array(seasonal) + error * weights.error**ahead
    return found


def test_smoothing_is_the_books() -> None:
    values = drawn()
    weights = Weights(0.3, 0.1, 0.9, 0.2, 0.0, 0.5)
    origins = np.array([60, 90, 120])
    found = np.empty((3, HORIZON))
    smooth(values, (12, 1), weights, False, origins, found)
    for origin, forecast in zip(origins.tolist(), found, strict=True):
        expected = plainly_smoothed(values[:origin], 12, weights, 24)
        np.testing.assert_allclose(forecast, expected, rtol=1e-10)


def test_a_regression_is_numpys() -> None:
    values, lags = drawn(), (1, 2, 12)
    found = regressed(values, lags, np.array([120]), HORIZON, (-100.0, 100.0))
    rows = np.stack([values[12 - lag : 120 - lag] for lag in lags] + [np.ones(108)], axis=1)
    gram = rows.T @ rows
    penalty = 1e-5 * np.trace(gram[:3, :3]) / 3
    weights = np.linalg.solve(gram + np.diag([penalty] * 3 + [0.0]), rows.T @ values[12:])
    walk = values.tolist()
    for _ in range(HORIZON):
        walk.append(sum(w * walk[-lag] for w, lag in zip(weights, lags, strict=False)) + weights[3])
    np.testing.assert_allclose(found[0], walk[120:], rtol=1e-8)


def test_a_season_before_is_the_latest_that_was_measured() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, np.nan, 6.0])
    found = np.empty((1, 5))
    repeat_season(values, 3, np.array([6]), found)
    assert found[0].tolist() == [4.0, 2.0, 6.0, 4.0, 2.0]


@pytest.mark.parametrize("seasons", [(), (12,), (4, 12)])
def test_no_method_sees_what_comes_after_an_origin(seasons: tuple[int, ...]) -> None:
    """Weights are chosen on the whole past; but with those, an origin's forecast is its own."""
    values = drawn(200)
    origins = origins_of(200, HORIZON, seasons)
    later = values.copy()
    later[-1] += 1e-9  # too little to choose other weights
    for one, other in zip(
        members_of(values, seasons, origins, HORIZON),
        members_of(later, seasons, origins, HORIZON),
        strict=True,
    ):
        early, late = np.abs(one.forecasts - other.forecasts)[[0, -1]]
        assert early.max() < 1e-9, one.name
        assert np.isfinite(late).all()


def test_origins_end_with_the_answer_and_see_every_place_of_a_season() -> None:
    for length in (8, 60, 700, 20_000):
        origins = origins_of(length, 24, (24,))
        assert origins[-1] == length
        assert len(origins) <= 66
        assert (np.diff(origins) > 0).all()
    assert len(set((origins_of(20_000, 24, (24,)) % 24).tolist())) == 24
    assert np.isnan(truths_of(np.arange(9.0), np.array([5, 9]), 6)[1]).all()


@pytest.mark.parametrize(
    ("season", "frequency"), [(24, "1h"), (7, "1d"), (1440, "1m"), (30, "1m"), (52, "1w")]
)
def test_seasons_are_found_and_none_where_there_is_none(season: int, frequency: str) -> None:
    count = max(5 * season, 300)
    cadence = Cadence.parse(frequency)
    assert season in seasons_of(drawn(count, season), cadence)
    noise = np.random.default_rng(5)
    falsely = [seasons_of(noise.normal(size=count), cadence) for _ in range(20)]
    assert sum(map(bool, falsely)) <= 4
    walks = [seasons_of(np.cumsum(noise.normal(size=count)), cadence) for _ in range(20)]
    assert sum(map(bool, walks)) <= 4
