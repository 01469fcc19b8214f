"""Rates and quantiles where the releases of Prometheus differ, and at their edges, by hand."""

import math

import numpy as np
import pytest

from features.sources.remote_write.editions import EDITIONS, Edition
from features.sources.remote_write.log import Columns
from features.sources.remote_write.quantiles import quantile
from features.sources.remote_write.rates import Window, rates
from features.sources.remote_write.vectors import within

OLD, NEW = EDITIONS[2], EDITIONS[3]


def rate(points: list[tuple[float, float]], edition: Edition) -> float | None:
    """Give the rate over the minute that ends at 60 s."""
    times = np.array([round(at * 1000) for at, _ in points], np.int64)
    values = np.array([value for _, value in points], np.float64)
    found = within(Columns(np.zeros(len(times), np.int32), times, values), 0, 60_000, edition)
    window = Window(found.rows.astype(np.int64), found.times, found.values, 0, 60_000)
    (one,) = rates(window, edition).values.tolist() or [None]
    return None if one is None else float(one)


def test_a_steady_counter_is_extrapolated_to_both_edges() -> None:
    points = [(at, 1000 + 3 * at) for at in (5.0, 20.0, 35.0, 50.0)]
    assert rate(points, OLD) == rate(points, NEW) == pytest.approx(3.0)


def test_a_sample_on_the_beginning_of_a_window_counts_up_to_release_2() -> None:
    points = [(0.0, 1000.0), (60.0, 1060.0)]
    assert rate(points, OLD) == pytest.approx(1.0)
    assert rate(points, NEW) is None


def test_far_from_an_edge_it_goes_on_for_half_a_distance() -> None:
    points = [(30.0, 1000.0), (40.0, 1010.0), (50.0, 1020.0)]
    for edition in (OLD, NEW):
        assert rate(points, edition) == pytest.approx(20 * (20 + 5 + 10) / 20 / 60)


def test_it_never_goes_back_to_before_the_counter_was_zero() -> None:
    points = [(10.0, 2.0), (20.0, 12.0), (30.0, 22.0), (40.0, 32.0), (50.0, 42.0)]
    for edition in (OLD, NEW):
        assert rate(points, edition) == pytest.approx(40 * (40 + 2 + 10) / 40 / 60)


def test_the_point_of_zero_is_judged_before_the_distance_up_to_release_2() -> None:
    """The edge is 30 s away, half a distance is 5 s, and the counter was zero 8 s before."""
    points = [(30.0, 8.0), (40.0, 18.0), (50.0, 28.0)]
    assert rate(points, OLD) == pytest.approx(20 * (20 + 8 + 10) / 20 / 60)
    assert rate(points, NEW) == pytest.approx(20 * (20 + 5 + 10) / 20 / 60)


def test_a_counter_that_fell_goes_on_from_where_it_was() -> None:
    points = [(5.0, 100.0), (20.0, 130.0), (35.0, 10.0), (50.0, 40.0)]
    for edition in (OLD, NEW):
        assert rate(points, edition) == pytest.approx(70 * (45 + 5 + 10) / 45 / 60)


BOUNDS = np.array([1.0, 2.0, 4.0, math.inf])


@pytest.mark.parametrize("edition", [OLD, NEW])
@pytest.mark.parametrize(
    ("level", "counts", "expected"),
    [
        (0.5, [10.0, 20.0, 20.0, 20.0], 1.0),
        (0.75, [10.0, 20.0, 20.0, 20.0], 1.5),
        (0.25, [10.0, 20.0, 20.0, 20.0], 0.5),
        (0.99, [10.0, 10.0, 10.0, 20.0], 4.0),  # of the last bucket its lower bound is known
        (0.9, [10.0, 5.0, 20.0, 20.0], 3.6),  # a bucket that fell counts as the one before
        (0.5, [0.0, 0.0, 0.0, 0.0], math.nan),
    ],
)
def test_quantiles_of_buckets(
    edition: Edition, level: float, counts: list[float], expected: float
) -> None:
    found = quantile(level, BOUNDS, np.array(counts), edition)
    assert found == pytest.approx(expected, nan_ok=True)


def test_there_is_no_quantile_without_a_last_bucket_or_with_it_alone() -> None:
    assert math.isnan(quantile(0.5, BOUNDS[:3], np.array([1.0, 2.0, 3.0]), NEW))
    assert math.isnan(quantile(0.5, BOUNDS[3:], np.array([1.0]), NEW))


def test_what_rounding_added_to_a_bucket_is_nothing_from_release_3_on() -> None:
    """Nothing was between 1 and 4, yet the last digit of the second bucket says so."""
    counts = np.array([10.0, 10.0, 10.000000000000002, 10.000000000000002])
    level = 10.000000000000002 / 10.000000000000002
    assert quantile(level, BOUNDS, counts, OLD) == 4.0
    assert quantile(level, BOUNDS, counts, NEW) == 1.0
