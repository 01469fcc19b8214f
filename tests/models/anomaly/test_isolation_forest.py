"""Isolation forest: scikit-learn's scores, served to the bit whatever rows ride along."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest as SklearnForest

from models.anomaly.isolation_forest import IsolationForest
from models.errors import ArtifactError, InvalidColumnError, TrainingDataError

RNG = np.random.default_rng(1)
HISTORY = RNG.normal(size=(1_000, 4)) * [1, 100, 0.01, 5]
ROWS = RNG.normal(size=(300, 4)) * [2, 200, 0.02, 10]


@pytest.fixture(scope="module")
def forest() -> IsolationForest:
    return IsolationForest.fit(HISTORY, seed=3)


def test_scores_are_those_of_scikit_learn(forest: IsolationForest) -> None:
    theirs = SklearnForest(n_estimators=100, max_samples=256, random_state=3)
    theirs.fit(HISTORY.astype(np.float32))
    expected = -theirs.score_samples(ROWS.astype(np.float32))
    np.testing.assert_allclose(forest.score(ROWS).score, expected, rtol=1e-12)


def test_attributions_add_up_and_point_at_the_odd_dimension(forest: IsolationForest) -> None:
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


def test_threads_may_share_a_forest(forest: IsolationForest) -> None:
    expected = forest.score(ROWS).score.tobytes()
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: forest.score(ROWS).score.tobytes(), range(40))
        assert set(answers) == {expected}


def test_a_forest_taken_up_again_answers_with_the_same_bits(forest: IsolationForest) -> None:
    again = IsolationForest.decode(forest.encode())
    assert again.encode() == forest.encode()
    assert again.score(ROWS).attribution.tobytes() == forest.score(ROWS).attribution.tobytes()


def test_the_seed_decides_the_fit() -> None:
    fits = [IsolationForest.fit(HISTORY, seed=seed, trees=10).encode() for seed in (1, 1, 2)]
    assert fits[0] == fits[1] != fits[2]


@pytest.mark.parametrize("history", [np.ones((50, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])])
def test_the_flattest_and_shortest_histories_do(history: Any) -> None:
    scores = IsolationForest.fit(history, seed=1).score(np.array([[1.0, 1.0], [1e308, -1e308]]))
    assert ((scores.score > 0) & (scores.score <= 1)).all()
    assert np.isfinite(scores.attribution).all()


@pytest.mark.parametrize("history", [np.zeros((1, 2)), np.zeros(5), np.zeros((5, 0))])
def test_no_history_is_refused(history: Any) -> None:
    with pytest.raises(TrainingDataError, match="history has shape"):
        IsolationForest.fit(history, seed=1)


@pytest.mark.parametrize("rows", [[[np.nan] * 4], [[np.inf] * 4], [[1.0]], [1.0] * 4])
def test_bad_rows_are_refused(forest: IsolationForest, rows: Any) -> None:
    with pytest.raises(InvalidColumnError, match="column 'points'"):
        forest.score(np.array(rows))


def test_what_is_no_forest_is_refused() -> None:
    with pytest.raises(ArtifactError):
        IsolationForest.decode(b"nothing")
