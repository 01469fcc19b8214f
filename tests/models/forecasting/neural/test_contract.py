"""What every forecaster promises, of both networks."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ArtifactError
from models.forecasting.forecaster import Forecast, HourlySeries
from models.protocols import FloatArray
from tests.models.forecasting.neural.conftest import Lesson, made_up


def _same(left: Forecast, right: Forecast) -> None:
    for field in ("point", "lower", "upper"):
        np.testing.assert_array_equal(getattr(left, field), getattr(right, field))


def _gone(model: Any, series: HourlySeries) -> bool:
    answer = model.forecast([series], 5)
    assert answer.point.shape == answer.lower.shape == answer.upper.shape == (1, 5)
    rows = np.stack([answer.point, answer.lower, answer.upper])
    assert np.isnan(rows).all() or np.isfinite(rows).all()
    return bool(np.isnan(rows).all())


def test_a_batch_of_one_is_a_batch_of_many_to_the_bit(model: Any) -> None:
    series = [made_up(str(seed), 10.0**seed, 650 + seed, seed) for seed in range(4)]
    series.insert(2, made_up("short", 5.0, 30))
    together = model.forecast(series, 24)
    for place, each in enumerate(series):
        alone = model.forecast([each], 24)
        np.testing.assert_array_equal(alone.point[0], together.point[place])
        np.testing.assert_array_equal(alone.lower[0], together.lower[place])
        np.testing.assert_array_equal(alone.upper[0], together.upper[place])


def test_a_shorter_horizon_is_the_beginning_of_a_longer_one(model: Any) -> None:
    series = [made_up("portal", 77.0)]
    whole = model.forecast(series, 24)
    for horizon in (1, 7, 23):
        part = model.forecast(series, horizon)
        np.testing.assert_array_equal(part.point, whole.point[:, :horizon])
        np.testing.assert_array_equal(part.upper, whole.upper[:, :horizon])


def test_the_interval_holds_the_point(model: Any, lesson: Lesson) -> None:
    answer = model.forecast(lesson.series, 24)
    assert (answer.lower <= answer.point).all()
    assert (answer.point <= answer.upper).all()
    assert answer.level == 0.9


def test_what_is_saved_answers_the_same(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    series = [made_up("portal", 77.0)]
    _same(again.forecast(series, 24), model.forecast(series, 24))
    _same(pickle.loads(pickle.dumps(model)).forecast(series, 24), model.forecast(series, 24))  # noqa: S301  our own bytes


def test_what_was_tampered_with_is_refused(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path)
    path = tmp_path / f"{model.name}.json"
    path.write_bytes(path.read_bytes().replace(b'"shape":[', b'"shape":[1,', 1))
    with pytest.raises(ArtifactError):
        type(model).load(tmp_path)
    with pytest.raises(ArtifactError):
        type(model).load(tmp_path / "nowhere")


@pytest.mark.parametrize("hours", [0, 1, 30, 100])
def test_too_short_a_history_is_a_row_of_nan(model: Any, hours: int) -> None:
    assert _gone(model, made_up("short", 5.0, hours))


def test_a_daily_series_is_none_of_its_business(model: Any) -> None:
    assert _gone(model, replace(made_up("daily", 5.0), step=86_400))


def test_no_series_at_all(model: Any) -> None:
    assert model.forecast([], 24).point.shape == (0, 24)


def _with(values: FloatArray) -> HourlySeries:
    return replace(made_up("odd", 5.0, len(values)), values=values)


def test_odd_series_are_answered_or_nan_but_never_raise(model: Any) -> None:
    rng = np.random.default_rng(0)
    assert not _gone(model, _with(np.full(700, 12.0)))
    assert not _gone(model, _with(np.zeros(700)))
    assert not _gone(model, _with(-rng.random(700)))
    assert not _gone(model, _with(rng.random(700) * 1e6))
    _gone(model, _with(rng.random(700) * 1e300))
    _gone(model, _with(np.where(rng.random(700) < 0.02, np.inf, 1.0)))
    assert _gone(model, _with(np.full(700, np.nan)))
    assert _gone(model, _with(np.where(rng.random(700) < 0.6, np.nan, 5.0)))


def test_a_constant_series_goes_on_being_constant(model: Any) -> None:
    answer = model.forecast([_with(np.full(700, 12.0))], 24)
    assert answer.point == pytest.approx(np.full((1, 24), 12.0), rel=1e-2)


def test_gaps_are_filled_and_hardly_matter(model: Any) -> None:
    whole = made_up("portal", 100.0)
    holes = whole.values.copy()
    holes[[200, 400, 401, 500, 660]] = np.nan
    found = model.forecast([replace(whole, values=holes)], 24).point
    assert found == pytest.approx(model.forecast([whole], 24).point, rel=0.2)


def test_only_the_latest_hours_are_read(model: Any) -> None:
    """A million of them take no longer."""
    latest = made_up("long", 100.0, 700)
    hours = 1_000_000
    values = np.concatenate([np.full(hours - 700, 1e9), latest.values])
    known = np.concatenate([np.zeros((hours - 700, 3)), latest.known])
    start = latest.start - (hours - 700) * 3600
    long = HourlySeries("long", start, values, known, latest.names)
    _same(model.forecast([long], 24), model.forecast([latest], 24))


def test_asking_changes_nothing(model: Any) -> None:
    series = [made_up("portal", 77.0)]
    values, known = series[0].values.copy(), series[0].known.copy()
    _same(model.forecast(series, 24), model.forecast(series, 24))
    np.testing.assert_array_equal(series[0].values, values)
    np.testing.assert_array_equal(series[0].known, known)
