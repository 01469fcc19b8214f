"""Isolation forest: scikit-learn's scores, served to the bit whatever rows ride along."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as SklearnForest

from tests.models.anomaly.fitted_forest import FittedForest

RNG = np.random.default_rng(1)
HISTORY = RNG.normal(size=(1_000, 4)) * [1, 100, 0.01, 5]
ROWS = RNG.normal(size=(300, 4)) * [2, 200, 0.02, 10]


@pytest.fixture(scope="module")
def forest() -> FittedForest:
    return FittedForest.fit(HISTORY, seed=3)


def test_scores_are_those_of_scikit_learn(forest: FittedForest) -> None:
    theirs = SklearnForest(n_estimators=100, max_samples=256, random_state=3)
    theirs.fit(HISTORY.astype(np.float32))
    expected = -theirs.score_samples(ROWS.astype(np.float32))
    np.testing.assert_allclose(forest.score(ROWS).score, expected, rtol=1e-12)


def test_attributions_add_up_and_point_at_the_odd_dimension(forest: FittedForest) -> None:
    scores = forest.score(ROWS)
    np.testing.assert_allclose(
        scores.attribution.sum(axis=1), 1 + np.log2(scores.score), atol=1e-12
    )
    odd = np.diag([9, 900, 0.09, 45])
    assert forest.score(odd).attribution.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert (forest.score(odd).score > np.median(forest.score(HISTORY).score)).all()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 64, 299])
def test_a_row_gets_the_same_bits_alone_and_in_a_batch(forest: Any, count: int) -> None:
    whole = forest.score(ROWS)
    for begin in range(0, len(ROWS), count):
        part = forest.score(ROWS[begin : begin + count])
        assert part.score.tobytes() == whole.score[begin : begin + count].tobytes()
        assert part.attribution.tobytes() == whole.attribution[begin : begin + count].tobytes()


def test_threads_may_share_a_forest(forest: FittedForest) -> None:
    expected = forest.score(ROWS).score.tobytes()
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: forest.score(ROWS).score.tobytes(), range(40))
        assert set(answers) == {expected}


@pytest.mark.parametrize("history", [np.ones((50, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])])
def test_the_flattest_and_shortest_histories_do(history: Any) -> None:
    scores = FittedForest.fit(history, seed=1).score(np.array([[1.0, 1.0], [1e308, -1e308]]))
    assert ((scores.score > 0) & (scores.score <= 1)).all()
    assert np.isfinite(scores.attribution).all()
