"""What every forecaster promises, whichever it is: forecasters.py lists them."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ArtifactError
from models.forecasting.forecaster import Forecast, Forecaster, HourlySeries
from models.forecasting.kinds import kind_of, load_member
from tests.models.forecasting.forecasters import CASES, HORIZON, Case, hourly, training_series

SEED = 7
Change = Callable[[HourlySeries], HourlySeries]


@cache
def fitted(case: Case) -> Forecaster:
    return case.fit(training_series(), SEED)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def same_bits(one: Forecast, other: Forecast) -> bool:
    pairs = [(one.point, other.point), (one.lower, other.lower), (one.upper, other.upper)]
    pairs += [(one.drivers[name], other.drivers[name]) for name in one.drivers]
    equal = all(np.array_equal(mine, yours, equal_nan=True) for mine, yours in pairs)
    return equal and one.drivers.keys() == other.drivers.keys() and one.basis == other.basis


def row_of(forecast: Forecast, row: int) -> list[Any]:
    ends = [forecast.point, forecast.lower, forecast.upper, *forecast.drivers.values()]
    return [each[row].tobytes() for each in ends]


def test_its_own_entities_get_a_whole_answer(case: Case) -> None:
    said = fitted(case).forecast(training_series(), HORIZON)
    assert said.point.shape == said.lower.shape == said.upper.shape == (3, HORIZON)
    assert np.isfinite(said.point).all()
    assert (said.lower <= said.point).all()
    assert (said.point <= said.upper).all()


def test_it_is_nearer_than_the_mean(case: Case) -> None:
    """The made-up demand is easy: whoever misses by half of its spread has a fault."""
    whole = training_series()[1]
    cut = replace(whole, values=whole.values[:-HORIZON])
    said, truth = fitted(case).forecast([cut], HORIZON).point[0], whole.values[-HORIZON:]
    assert np.sqrt(np.mean((said - truth) ** 2)) < np.std(whole.values) / 2


def test_the_drivers_add_up_to_the_point(case: Case) -> None:
    said = fitted(case).forecast(training_series(), HORIZON)
    if said.drivers:
        assert np.allclose(sum(said.drivers.values()), said.point, rtol=1e-9)


def test_saved_and_loaded_it_answers_to_the_bit(case: Case, tmp_path: Path) -> None:
    forecaster = fitted(case)
    forecaster.save(tmp_path)
    loaded = load_member(kind_of(forecaster), tmp_path)
    assert loaded.name == forecaster.name
    asked = training_series()
    assert same_bits(loaded.forecast(asked, HORIZON), forecaster.forecast(asked, HORIZON))


def test_a_folder_without_it_is_refused_in_words(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=str(tmp_path)):
        load_member(kind_of(fitted(case)), tmp_path)


def test_pickled_it_answers_to_the_bit(case: Case) -> None:
    forecaster = fitted(case)
    back = pickle.loads(pickle.dumps(forecaster))  # noqa: S301  our own bytes
    asked = training_series()
    assert same_bits(back.forecast(asked, HORIZON), forecaster.forecast(asked, HORIZON))


def test_the_same_seed_fits_the_same_to_the_bit(case: Case) -> None:
    again = case.fit(training_series(), SEED)
    asked = training_series()
    assert same_bits(again.forecast(asked, HORIZON), fitted(case).forecast(asked, HORIZON))


def test_asking_changes_nothing(case: Case) -> None:
    forecaster, asked = fitted(case), training_series()
    before = [(each.values.copy(), each.known.copy()) for each in asked]
    first = forecaster.forecast(asked, HORIZON)
    assert same_bits(forecaster.forecast(asked, HORIZON), first)
    for each, (values, known) in zip(asked, before, strict=True):
        assert np.array_equal(each.values, values)
        assert np.array_equal(each.known, known)


def test_a_series_has_the_same_bits_in_any_batch(case: Case) -> None:
    forecaster = fitted(case)
    asked = [training_series()[n % 3] for n in (0, 1, 2, 1, 0, 2, 2)]
    asked[3] = replace(asked[3], values=asked[3].values[:-5])
    whole = forecaster.forecast(asked, HORIZON)
    turned = forecaster.forecast(asked[::-1], HORIZON)
    for row, each in enumerate(asked):
        alone = row_of(forecaster.forecast([each], HORIZON), 0)
        assert row_of(whole, row) == alone
        assert row_of(turned, len(asked) - 1 - row) == alone


def test_an_unknown_entity_is_a_row_of_nan(case: Case) -> None:
    said = fitted(case).forecast([hourly("never seen", 28)], HORIZON)
    assert np.isfinite(said.point).all() == case.answers_anything


@pytest.mark.parametrize("horizon", [1, 7])
def test_a_shorter_horizon_is_answered(case: Case, horizon: int) -> None:
    said = fitted(case).forecast(training_series(), horizon)
    assert said.point.shape == (3, horizon)
    assert np.isfinite(said.point).all()


def test_nothing_asked_is_nothing_answered(case: Case) -> None:
    assert fitted(case).forecast([], HORIZON).point.shape == (0, HORIZON)


def with_values(values: Any) -> Change:
    """Put other values, and known columns of their length."""

    def changed(series: HourlySeries) -> HourlySeries:
        own = np.array(values, dtype=np.float64)
        known = np.resize(series.known, (own.size + HORIZON, len(series.names)))
        return replace(series, values=own, known=known)

    return changed


def with_gaps(series: HourlySeries) -> HourlySeries:
    values = series.values.copy()
    values[::7] = np.nan
    values[200:260] = np.nan
    values[-2:] = np.nan
    return replace(series, values=values)


BAD: dict[str, Change] = {
    "constant": with_values(np.full(672, 5.0)),
    "all nought": with_values(np.zeros(672)),
    "gaps": with_gaps,
    "all NaN": with_values(np.full(672, np.nan)),
    "one point": with_values([3.0]),
    "two points": with_values([3.0, np.nan]),
    "empty": with_values([]),
    "a million points": with_values(np.random.default_rng(0).random(1_000_000)),
    "infinite": with_values(np.full(672, np.inf)),
    "huge": with_values(np.full(672, 1e300)),
    "negative": with_values(np.full(672, -5.0)),
    "short known": lambda series: replace(series, known=series.known[:-HORIZON]),
    "other names": lambda series: replace(series, names=("a", "b")),
    "NaN known": lambda series: replace(series, known=np.full(series.known.shape, np.nan)),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_costs_only_its_own_row(case: Case, bad: str) -> None:
    forecaster, good = fitted(case), training_series()[0]
    asked = [good, BAD[bad](training_series()[1]), good]
    said = forecaster.forecast(asked, HORIZON)
    alone = row_of(forecaster.forecast([good], HORIZON), 0)
    assert row_of(said, 0) == row_of(said, 2) == alone
    ends = np.stack([said.lower[1], said.point[1], said.upper[1]])
    assert np.isfinite(ends).all() or np.isnan(said.point[1]).all()
    if np.isfinite(ends).all():
        assert (np.diff(ends, axis=0) >= 0).all()


@pytest.mark.parametrize("bad", [name for name in BAD if name != "a million points"])
def test_bad_history_can_be_trained_on(case: Case, bad: str) -> None:
    """One bad entity among those trained on costs the others nothing."""
    good = training_series()[0]
    both = case.fit((good, BAD[bad](training_series()[1])), SEED)
    said = both.forecast([good], HORIZON)
    assert np.isfinite(said.point).all()
