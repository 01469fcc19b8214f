"""What observations are taken, and what they are measured by."""

import numpy as np
import pytest

from models.anomaly.inputs import FARTHEST, checked_points, require_within
from models.anomaly.scale import spread, weights
from models.errors import InvalidColumnError, ModelError


def test_numbers_are_taken_and_the_farthest_brought_near() -> None:
    given = np.array([[1, 2], [3, 4]])
    taken = checked_points(given, 2)
    np.testing.assert_array_equal(taken, given)
    assert taken.dtype == np.float64
    far = checked_points(np.array([[1e308, -1e308]]), 2)
    np.testing.assert_array_equal(far, [[FARTHEST, -FARTHEST]])


@pytest.mark.parametrize(
    "points", [[1.0], [[1.0]], [["1", "2"]], [[True, False]], [[1.0, 2.0, 3.0]], 5.0]
)
def test_what_is_no_table_of_that_width_is_refused(points: object) -> None:
    with pytest.raises(InvalidColumnError, match="must be numbers, 2 to a row"):
        checked_points(np.array(points), 2)


def test_rows_that_are_not_finite_are_named() -> None:
    points = np.array([[0.0, 0.0], [0.0, np.nan], [1.0, 1.0], [-np.inf, 0.0]])
    with pytest.raises(InvalidColumnError, match="row 1 is") as refused:
        checked_points(points, 2)
    assert refused.value.rows == (1, 3)


def test_a_setting_out_of_its_range_is_refused_with_the_range() -> None:
    require_within("size", 2, 2, 8)
    for value in (1, 9, float("nan")):
        with pytest.raises(ModelError, match=f"size is {value}: choose 2 to 8"):
            require_within("size", value, 2, 8)


def test_spread_is_the_median_distance_and_never_nothing() -> None:
    values = np.array([[1.0, 5.0, 0.0], [2.0, 5.0, 0.0], [4.0, 5.0, 8.0], [9.0, 5.0, 0.0]])
    np.testing.assert_allclose(spread(values)[[0, 2]], [1.5, 2.0])
    assert 0 < spread(values)[1] < 1e-6


def test_lags_of_a_dimension_share_its_weight() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0, 1, (500, 3)), rng.normal(0, 1_000, (500, 3))
    weight = weights(np.hstack([one, two]), 2)
    assert len(set(weight[:3])) == len(set(weight[3:])) == 1
    assert weight[0] / weight[3] == pytest.approx(1_000, rel=0.2)
