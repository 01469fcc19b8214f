"""Robust random cut forest: the scores of `rrcf`, at a fraction of its cost, and resumable."""

import itertools
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly.rrcf import ForestSettings, RandomCutForest
from models.anomaly.rrcf_kernel import COUNT, LOW, PARENT
from models.errors import ArtifactError, InvalidColumnError, ModelError
from tests.models.anomaly.rrcf_reference import (
    SEEDS,
    SIZE,
    TREES,
    recorded,
    reference,
    streams,
)

RAW = {"even": False}


@pytest.mark.parametrize("name", list(streams()))
def test_the_recorded_scores_are_those_of_rrcf(name: str) -> None:
    """Two windows' length of each: a score depends on all that came before it."""
    begun = reference(streams()[name][: 2 * SIZE], SEEDS[0])
    np.testing.assert_allclose(recorded(name)[0, : 2 * SIZE], begun, rtol=1e-12)


@pytest.mark.parametrize("name", list(streams()))
def test_scores_are_distributed_as_those_of_rrcf(name: str) -> None:
    """Three seeds each: means agree within Monte-Carlo error, and so do the oddest points."""
    points = streams()[name]
    theirs = recorded(name)
    chosen = ForestSettings(TREES, SIZE, **RAW)
    ours = np.array(
        [RandomCutForest(points.shape[1], chosen, seed=s).advance(points).score for s in SEEDS]
    )
    means, their_means = ours.mean(axis=1), theirs.mean(axis=1)
    between = np.hypot(means.std(ddof=1), their_means.std(ddof=1)) / np.sqrt(3)
    least = 0.01 * their_means.mean()  # three seeds may lie close together by chance
    assert abs(means.mean() - their_means.mean()) < 4 * max(between, least)
    top = len(points) // 100
    shared = set(np.argsort(-ours.mean(axis=0))[:top]) & set(np.argsort(-theirs.mean(axis=0))[:top])
    assert len(shared) >= 0.8 * top
    assert np.corrcoef(ours.mean(axis=0), theirs.mean(axis=0))[0, 1] > 0.97


def test_a_point_costs_a_twentieth_of_rrcfs_or_less() -> None:
    points = np.random.default_rng(2).normal(size=(400, 1))
    forest = RandomCutForest(1, ForestSettings(10, 256, **RAW))
    forest.advance(points)
    began = time.process_time()
    forest.advance(np.tile(points, (20, 1)))
    ours = (time.process_time() - began) / 8_000
    began = time.process_time()
    reference(points[:300], 1, trees=10, size=256)
    theirs = (time.process_time() - began) / 300
    assert theirs > 20 * ours


def tree_is_sound(forest: RandomCutForest) -> bool:
    """Compare counts and boxes kept up point by point with those computed afresh."""
    fresh = RandomCutForest.decode(forest.encode())
    for tree in range(forest.settings.trees):
        held = np.flatnonzero(forest._leaves.times)
        seen = set[int]()
        for leaf in held:
            assert forest._trees.above[tree, leaf] == fresh._trees.above[tree, leaf]
            node = int(forest._trees.above[tree, leaf])
            while node != -1:
                seen.add(node - forest._leaves.times.size)
                node = int(forest._trees.links[tree, node - forest._leaves.times.size, PARENT])
        assert len(seen) == max(len(held) - 1, 0)
        branches = sorted(seen)
        for mine, theirs in ((forest._trees, fresh._trees),):
            np.testing.assert_array_equal(
                mine.links[tree, branches, : COUNT + 1], theirs.links[tree, branches, : COUNT + 1]
            )
            np.testing.assert_array_equal(
                mine.box[tree, branches, LOW:], theirs.box[tree, branches, LOW:]
            )
    return True


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(2, 9), st.integers(1, 2))
@settings(deadline=None, max_examples=60)
def test_trees_stay_sound_whatever_comes_and_goes(values: list[int], size: int, lags: int) -> None:
    """Few distinct values: points repeat, leave one by one, and come back."""
    forest = RandomCutForest(1, ForestSettings(3, size, lags), seed=len(values))
    for value in values:
        forest.advance(np.array([[float(value)]]))
        assert tree_is_sound(forest)
    kept = len(values) - lags + 1
    assert forest._leaves.times.sum() == max(0, min(size, kept))
    wide = np.lib.stride_tricks.sliding_window_view(values, lags) if kept > 0 else np.zeros((0, 1))
    distinct = np.unique(wide[-size:], axis=0)
    assert (forest._leaves.times > 0).sum() == len(distinct)


def test_repeated_points_count_as_often_as_they_came() -> None:
    points = np.array([0.0] * 30 + [9.0] + [0.0] * 9)[:, None]
    score = RandomCutForest(1, ForestSettings(5, 40), seed=1).advance(points).score
    assert score[30] == 30.0
    assert score[29] == 0.0
    np.testing.assert_allclose(score[31:], 1 / np.arange(31, 40))


def test_attributions_add_up_and_point_at_the_odd_dimension() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(500, 4)) * [1, 1e6, 1e-6, 100]
    for j in range(4):
        points[400 + 20 * j, j] *= 0
        points[400 + 20 * j, j] += 12 * [1, 1e6, 1e-6, 100][j]
    scores = RandomCutForest(4, ForestSettings(40, 128), seed=1).advance(points)
    np.testing.assert_allclose(scores.attribution.sum(axis=1), scores.score, rtol=1e-12)
    assert (scores.attribution >= 0).all()
    for j in range(4):
        assert scores.attribution[400 + 20 * j].argmax() == j
        assert scores.score[400 + 20 * j] > np.quantile(scores.score, 0.98)


def test_a_shingle_notices_an_odd_order_of_ordinary_values() -> None:
    wave = np.sin(np.arange(800) / 6)[:, None]
    wave[600:612] = wave[600:612][::-1]
    rank = {}
    for lags in (1, 8):
        score = RandomCutForest(1, ForestSettings(40, 256, lags), seed=2).advance(wave).score
        rank[lags] = (score[300:] > score[600:615].max()).sum()
    assert rank[8] == 0 < rank[1]


def test_no_score_until_a_whole_shingle_has_come() -> None:
    points = np.random.default_rng(4).normal(size=(10, 2))
    scores = RandomCutForest(2, ForestSettings(5, 8, 4)).advance(points)
    assert (scores.score[:4] == 0).all()
    assert (scores.score[4:] > 0).all()


@given(st.lists(st.integers(1, 70), min_size=1, max_size=8), st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_how_points_are_bundled_changes_no_bit(parts: list[int], lags: int) -> None:
    points = np.random.default_rng(5).normal(size=(sum(parts), 2))
    chosen = ForestSettings(4, 32, lags)
    together, apart = RandomCutForest(2, chosen, seed=9), RandomCutForest(2, chosen, seed=9)
    whole = together.advance(points)
    cuts = np.cumsum([0, *parts])
    pieces = [apart.advance(points[a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.concatenate([p.score for p in pieces]).tobytes() == whole.score.tobytes()
    joined = np.concatenate([p.attribution for p in pieces])
    assert joined.tobytes() == whole.attribution.tobytes()
    assert apart.encode() == together.encode()


@pytest.mark.parametrize("stop", [0, 1, 3, 50, 200, 399])
def test_a_forest_taken_up_again_goes_on_to_the_same_bits(stop: int) -> None:
    points = np.round(np.random.default_rng(6).normal(size=(400, 2)), 1)
    whole = RandomCutForest(2, ForestSettings(6, 64, 3), seed=3)
    expected = whole.advance(points)
    first = RandomCutForest(2, ForestSettings(6, 64, 3), seed=3)
    first.advance(points[:stop])
    rest = RandomCutForest.decode(first.encode())
    scores = rest.advance(points[stop:])
    assert scores.score.tobytes() == expected.score[stop:].tobytes()
    assert scores.attribution.tobytes() == expected.attribution[stop:].tobytes()
    assert rest.encode() == whole.encode()


def test_the_seed_decides_everything() -> None:
    points = np.random.default_rng(7).normal(size=(100, 1))
    runs = [RandomCutForest(1, seed=seed).advance(points).score.tobytes() for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_memory_is_flat() -> None:
    forest = RandomCutForest(1, ForestSettings(5, 32), seed=1)
    rng = np.random.default_rng(8)
    forest.advance(rng.normal(size=(100, 1)))
    sizes = (forest.nbytes(), len(forest.encode()))
    forest.advance(rng.normal(size=(100_000, 1)))
    assert forest.nbytes() == sizes[0]
    assert len(forest.encode()) == pytest.approx(sizes[1], abs=8)


@pytest.mark.parametrize(
    "points",
    [
        [[1e308, -1e308], [-1e308, 1e308]] * 20,
        [[5.0, 5.0]] * 40,
        [[0.0, 1e-320], [1e-320, 0.0]] * 20,
        [[1e308, 0.0]] * 39 + [[0.0, 1.0]],
    ],
)
def test_the_strangest_finite_points_leave_it_sane(points: list[list[float]]) -> None:
    forest = RandomCutForest(2, ForestSettings(5, 16), seed=1)
    for part in (np.array(points), np.random.default_rng(0).normal(size=(60, 2))):
        scores = forest.advance(part)
        assert np.isfinite(scores.score).all()
        np.testing.assert_allclose(scores.attribution.sum(axis=1), scores.score, rtol=1e-9)
    assert tree_is_sound(forest)


@pytest.mark.parametrize("points", [[[np.nan, 0.0]], [[np.inf, 0.0]], [[1.0]], [1.0, 2.0]])
def test_bad_points_are_refused_and_change_nothing(points: Any) -> None:
    forest = RandomCutForest(2)
    forest.advance(np.ones((3, 2)))
    before = forest.encode()
    with pytest.raises(InvalidColumnError, match="column 'points'"):
        forest.advance(np.array(points))
    assert forest.encode() == before


@pytest.mark.parametrize(
    "wrong", [{"trees": 0}, {"size": 1}, {"size": 10_000}, {"shingle": 0}, {"shingle": 300}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=next(iter(wrong))):
        ForestSettings(**wrong)


def test_no_dimensions_are_refused() -> None:
    with pytest.raises(ModelError, match="dimensions is 0"):
        RandomCutForest(0)


def test_what_is_no_forest_is_refused() -> None:
    with pytest.raises(ArtifactError):
        RandomCutForest.decode(b"BLSA")
