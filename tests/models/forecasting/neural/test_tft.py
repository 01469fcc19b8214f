"""What only the transformer promises: entities of any size, and what it looked at."""

from dataclasses import replace

import numpy as np
import pytest

from tests.models.forecasting.neural.conftest import Lesson, made_up


def test_a_thousand_times_the_load_is_a_thousand_times_the_forecast(lesson: Lesson) -> None:
    """The network sees nothing of a series' size: it answers one that it never saw."""
    one = made_up("one", 200.0)
    large = replace(one, values=one.values * 1_000)
    small, big = (lesson.trained.tft.forecast([each], 24) for each in (one, large))
    assert big.point == pytest.approx(1_000 * small.point, rel=1e-2)
    assert big.upper == pytest.approx(1_000 * small.upper, rel=1e-2)


def test_known_columns_are_found_by_their_names(lesson: Lesson) -> None:
    series = made_up("portal", 40.0)
    turned = replace(series, names=series.names[::-1], known=series.known[:, ::-1])
    more = replace(
        series, names=(*series.names, "more"), known=np.c_[series.known, series.known[:, 0]]
    )
    expected = lesson.trained.tft.forecast([series], 24).point
    for each in (turned, more):
        np.testing.assert_array_equal(lesson.trained.tft.forecast([each], 24).point, expected)


def test_without_its_known_columns_it_does_not_answer(lesson: Lesson) -> None:
    series = made_up("portal", 40.0)
    for without in (
        replace(series, names=("a", "b", "c")),
        replace(series, known=series.known[:-24]),
        replace(series, known=np.full(series.known.shape, np.nan)),
    ):
        assert np.isnan(lesson.trained.tft.forecast([without], 24).point).all()


def test_weights_are_shares(lesson: Lesson) -> None:
    series = [made_up("portal", 40.0), made_up("short", 40.0, 20)]
    told = lesson.trained.tft.explain(series, 5)
    for side in (told.static, told.encoder, told.decoder):
        assert sum(weights[0] for weights in side.values()) == pytest.approx(1.0)
        assert all(np.isnan(weights[1]) for weights in side.values())
    assert told.attention.shape == (2, 5, 48)
    assert (told.attention[0] >= 0).all()
    assert told.attention[0, 0].sum() == pytest.approx(1.0)
    assert (told.attention[0].sum(axis=1) <= 1 + 1e-9).all()
    assert "open" in told.decoder
    assert "168 hours before" in told.decoder
    assert set(told.encoder) == {"value", "day_sin", "day_cos"}


def test_nobody_to_explain(lesson: Lesson) -> None:
    told = lesson.trained.tft.explain([], 24)
    assert told.attention.shape == (0, 24, 48)
