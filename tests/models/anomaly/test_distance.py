"""The reference of a stream moves slowly, and a score's size follows the distance from it."""

import numpy as np
import pytest

from models.anomaly.distance import distances, empty, enlarged


def scores_of(values: np.ndarray) -> np.ndarray:
    score, early = distances(
        enlarged(empty(values.shape[1]), 1), np.zeros(len(values), dtype=np.int64), values
    )
    assert early.tolist() == [i < 16 for i in range(len(values))]
    assert not score[early].any()
    return score


def test_noise_scores_as_students_t_says() -> None:
    score = scores_of(np.random.default_rng(1).normal(5, 3, size=(20_000, 1)))[1_000:]
    z = np.random.default_rng(2).normal(size=100_000)
    expected = 2.5 * np.log1p(z * z / 4)
    assert score.mean() == pytest.approx(expected.mean(), rel=0.05)
    assert np.quantile(score, 0.99) == pytest.approx(np.quantile(expected, 0.99), rel=0.08)


def test_a_shift_is_far_for_dozens_of_observations_and_then_ordinary() -> None:
    values = np.random.default_rng(3).normal(size=(4_000, 1))
    values[2_000:] += 6
    score = scores_of(values)
    assert score[2_000:2_030].mean() > 5 * score[1_000:2_000].mean()
    assert score[3_500:].mean() < 1.5 * score[1_000:2_000].mean()


@pytest.mark.parametrize("scale", [1e-80, 1e-3, 1e6, 1e90])
def test_units_do_not_matter(scale: float) -> None:
    values = np.random.default_rng(4).normal(size=(500, 2))
    np.testing.assert_allclose(scores_of(values * scale), scores_of(values), rtol=1e-6)


def test_a_constant_is_no_distance_away_and_1e100_is_finite() -> None:
    assert not scores_of(np.full((100, 1), 7.25)).any()
    wild = np.random.default_rng(5).choice([0.0, 1e100, -1e100, 1e-300], size=(500, 1))
    assert np.isfinite(scores_of(wild)).all()
