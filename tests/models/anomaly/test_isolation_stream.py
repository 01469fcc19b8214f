"""Trees grown where a stream runs score as scikit-learn's do."""

import numpy as np
import pytest

from models.anomaly.isolation_growth import empty, grow
from models.anomaly.isolation_kernel import LEAF
from models.anomaly.isolation_stream import IsolationSettings, IsolationStream
from models.errors import ArtifactError, ModelError
from tests.models.anomaly.fitted_forest import FittedForest


def test_scores_agree_with_scikit_learns_trees() -> None:
    rng = np.random.default_rng(1)
    history = rng.normal(size=(1_024, 3)) * [1, 5, 0.1]
    asked = rng.normal(size=(300, 3)) * [2, 10, 0.2]
    theirs = np.mean([FittedForest.fit(history, seed=s).score(asked).score for s in (1, 2)], 0)
    ours = []
    for seed in (1, 2):
        stream = IsolationStream(3, IsolationSettings(100, 256, 1_024, 1_024), seed=seed)
        stream.advance(history)
        ours.append(stream.advance(asked).score)
    again = FittedForest.fit(history, seed=3).score(asked).score
    noise = np.abs(theirs - again).max()
    assert np.abs(np.mean(ours, 0) - theirs).max() < 2 * noise
    assert abs(np.mean(ours) - theirs.mean()) < 0.005


def test_attributions_add_up_as_those_of_the_fitted_forest() -> None:
    rng = np.random.default_rng(2)
    stream = IsolationStream(2, seed=1)
    stream.advance(rng.normal(size=(512, 2)))
    scores = stream.advance(rng.normal(size=(50, 2)) * 3)
    np.testing.assert_allclose(scores.attribution.sum(axis=1), 1 + np.log2(scores.score))


@pytest.mark.parametrize("value", [0.0, 1e38, -3e38])
def test_rows_that_are_all_alike_are_ordinary(value: float) -> None:
    trees = empty(3, 16)
    grow(trees, np.full((20, 2), value, dtype=np.float32), 16, np.uint64(1))
    assert (trees.left[trees.roots] == LEAF).all()
    stream = IsolationStream(2, IsolationSettings(3, 16, 20, 20))
    assert (stream.advance(np.full((100, 2), value)).score == 0.5).all()


def test_each_tree_ends_where_a_row_is_alone_or_at_the_depth_of_the_paper() -> None:
    rows = np.random.default_rng(3).normal(size=(64, 2)).astype(np.float32)
    trees = empty(10, 64)
    grow(trees, rows, 64, np.uint64(5))
    for root in trees.roots:
        depth, waiting = 0, [int(root)]
        while waiting:
            waiting = [
                int(child)
                for node in waiting
                if trees.left[node] != LEAF
                for child in (trees.left[node], trees.right[node])
            ]
            depth += 1
        assert depth <= 7


def test_settings_and_dimensions_out_of_range_are_refused() -> None:
    for wrong in ({"trees": 0}, {"samples": 1}, {"regrow": 2_000}):
        with pytest.raises(ModelError):
            IsolationSettings(**wrong)
    with pytest.raises(ModelError, match="dimensions"):
        IsolationStream(0)
    with pytest.raises(ArtifactError):
        IsolationStream.decode(b"nothing")
