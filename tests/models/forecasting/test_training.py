"""Training of the cheap half: the same to the bit, honest figures, short entities left out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import TrainingDataError
from models.forecasting.ensemble import EnsembleForecaster
from models.forecasting.forecaster import Forecast, HourlySeries
from models.forecasting.joining import joined
from models.forecasting.kinds import load_member
from models.forecasting.rolling import cut
from models.forecasting.seasonal_naive import SeasonalNaive
from models.forecasting.training import CheapForecasters, train_cheap
from tests.models.forecasting.forecasters import HORIZON, hourly

SEED = 3


def history() -> list[HourlySeries]:
    return [hourly("a", 35, 1), hourly("b", 35, 2, 1_000.0), hourly("young", 4, 3)]


@pytest.fixture(scope="module")
def trained() -> CheapForecasters:
    return train_cheap([cut(each, HORIZON) for each in history()], seed=SEED)


def test_every_forecaster_answers_what_it_can(trained: CheapForecasters) -> None:
    asked = [cut(each, HORIZON) for each in history()]
    for forecaster in (trained.seasonal_naive, trained.prophet, trained.ensemble):
        said = forecaster.forecast(asked, HORIZON)
        assert np.isfinite(said.point).all()
        assert (said.lower >= 0).all()
        assert (said.lower <= said.upper).all()


def test_the_ensemble_is_no_worse_than_its_better_half(trained: CheapForecasters) -> None:
    asked = [cut(each, HORIZON) for each in history()[:2]]
    truth = np.stack([each.values[-HORIZON:] for each in history()[:2]])
    scale = truth.mean(axis=1, keepdims=True)

    def miss(point: np.ndarray) -> float:
        return float(np.sqrt(np.mean(((point - truth) / scale) ** 2)))

    each = sorted(
        miss(member.forecast(asked, HORIZON).point) for member in trained.ensemble.members
    )
    assert miss(trained.ensemble.forecast(asked, HORIZON).point) < each[2]


def test_its_figures_are_of_hours_held_out(trained: CheapForecasters) -> None:
    """The made-up noise is a tenth of the level, so no forecast can miss by much less."""
    assert 0.08 < trained.metrics["rmse_ensemble"] < 0.2
    assert 0.75 < trained.metrics["coverage_ensemble"] <= 1
    assert {"rmse_prophet", "rmse_seasonal_naive", "rmse_lag_regression"} < trained.metrics.keys()


def test_an_entity_without_history_gets_an_answer_that_says_so(trained: CheapForecasters) -> None:
    empty = replace(hourly("new", 1), values=np.zeros(0))
    assert np.isnan(trained.prophet.forecast([empty], HORIZON).point).all()
    said = trained.seasonal_naive.forecast([empty], HORIZON)
    assert np.isfinite(said.point).all()
    assert said.basis[0].startswith("no history at all: the median of")
    assert trained.ensemble.forecast([empty], HORIZON).basis[0].startswith("seasonal_naive")


def test_drivers_add_up(trained: CheapForecasters) -> None:
    for forecaster in (trained.prophet, trained.ensemble):
        said = forecaster.forecast(history()[:2], HORIZON)
        assert set(said.drivers) == {"trend", "seasonality", "holidays"}
        assert np.allclose(sum(said.drivers.values()), said.point)


def test_trained_again_it_is_the_same_to_the_bit(trained: CheapForecasters, tmp_path: Path) -> None:
    heard: list[float] = []
    again = train_cheap(
        [cut(each, HORIZON) for each in history()],
        seed=SEED,
        progress=lambda share, _: heard.append(share),
    )
    assert heard[0] == 0
    assert heard[-1] == 1
    assert heard == sorted(heard)
    assert again.metrics == trained.metrics
    for name, each in {"one": trained.ensemble, "other": again.ensemble}.items():
        each.save(tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "one") for path in tmp_path.glob("one/**/*.json"))
    assert len(files) > 10
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes()


def test_saved_and_loaded_the_ensemble_is_whole(trained: CheapForecasters, tmp_path: Path) -> None:
    trained.ensemble.save(tmp_path)
    loaded = load_member("ensemble", tmp_path)
    assert isinstance(loaded, EnsembleForecaster)
    one, other = (each.forecast(history(), HORIZON) for each in (loaded, trained.ensemble))
    assert one.point.tobytes() == other.point.tobytes()
    assert one.upper.tobytes() == other.upper.tobytes()


def test_a_member_that_falls_silent_costs_only_its_share(trained: CheapForecasters) -> None:
    some = [each for each in trained.ensemble.members if each.name != "lag_regression"]
    fewer = EnsembleForecaster(some, trained.ensemble.blends, 0.9, trained.ensemble.shifts)
    said = fewer.forecast(history(), HORIZON)
    assert np.isfinite(said.point).all()
    assert "lag_regression" not in said.basis[0]


def test_a_member_that_throws_is_named_and_left_out(trained: CheapForecasters) -> None:
    class Broken(SeasonalNaive):
        def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
            raise RuntimeError(f"no memory for {len(series)} x {horizon}")

    members = [
        Broken() if each.name == "seasonal_naive" else each for each in trained.ensemble.members
    ]
    broken = EnsembleForecaster(members, trained.ensemble.blends, 0.9, trained.ensemble.shifts)
    said = broken.forecast(history()[:2], HORIZON)
    assert np.isfinite(said.point).all()
    assert "without seasonal_naive: RuntimeError: no memory for 2 x 24" in said.basis[0]


def test_later_forecasters_join_and_are_weighed_by_the_same_week(trained: CheapForecasters) -> None:
    """One that knows the truth, but for a little noise, takes most of the weight."""
    series = [cut(each, HORIZON) for each in history()]
    whole = {each.entity: each for each in history()}

    class Oracle(SeasonalNaive):
        name = "oracle"

        def forecast(self, series: Sequence[HourlySeries], horizon: int) -> Forecast:
            found = [whole[each.entity].values[len(each.values) :][:horizon] for each in series]
            point = np.stack(found) * (1 + 0.01 * np.sin(np.arange(horizon)))
            return Forecast(point, point, point, 0.9)

    together = joined(trained, [Oracle()], series)
    assert together.blends["a"].weights["oracle"] > 0.6
    assert sum(together.blends["a"].weights.values()) == pytest.approx(1)
    truth = whole["a"].values[-HORIZON:]
    asked = [series[0]]
    near, before = (
        np.abs(each.forecast(asked, HORIZON).point[0] - truth).mean()
        for each in (together, trained.ensemble)
    )
    assert near < before


def test_no_series_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="at least one entity"):
        train_cheap([], seed=SEED)
