import numpy as np
import pandas as pd
import pytest

from models.errors import TrainingDataError
from models.forecasting.local.cadence import Cadence


def epochs(times: pd.DatetimeIndex) -> np.ndarray:
    return times.as_unit("s").asi8


@pytest.mark.parametrize(
    ("text", "rule"),
    [("15s", "15s"), ("5m", "5min"), ("1h", "1h"), ("6h", "6h"), ("1d", "1D"), ("1w", "7D")],
)
def test_steps_are_those_of_pandas(text: str, rule: str) -> None:
    times = pd.date_range("2024-02-27", periods=40, freq=rule)
    cadence = Cadence.parse(text)
    assert Cadence.found_in(epochs(times[:10])) == cadence
    assert cadence.times(int(epochs(times)[0]), np.arange(40)) == epochs(times).tolist()


@pytest.mark.parametrize(("first", "rule"), [("2023-01-31", "ME"), ("2023-01-15", "MS")])
def test_months_are_those_of_the_calendar(first: str, rule: str) -> None:
    times = pd.date_range(first, periods=30, freq=rule)
    cadence = Cadence.parse("1mo")
    assert Cadence.found_in(epochs(times[:6])) == cadence
    assert cadence.times(int(epochs(times)[0]), np.arange(30)) == epochs(times).tolist()
    assert cadence.places(epochs(times)).tolist() == list(range(30))


@pytest.mark.parametrize("text", ["14s", "1x", "0h", "2mo", "32d", "h", "", "1.5h", "99999999w"])
def test_what_is_no_frequency_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"frequency|between"):
        Cadence.parse(text)


def test_gaps_keep_their_places_and_small_delays_are_rounded() -> None:
    cadence = Cadence.parse("1m")
    assert cadence.places(np.array([0, 61, 119, 300])).tolist() == [0, 1, 2, 5]


@pytest.mark.parametrize(
    ("ts", "why"), [([0, 60, 150], "no even grid"), ([0, 60, 65], "two times lie in one step")]
)
def test_times_off_the_grid_are_refused(ts: list[int], why: str) -> None:
    with pytest.raises(TrainingDataError, match=why):
        Cadence.parse("1m").places(np.array(ts))


@pytest.mark.parametrize(
    ("text", "seasons"),
    [("1h", (24, 168)), ("1d", (7,)), ("1w", (52,)), ("1mo", (12,)), ("15s", ()), ("1m", (1440,))],
)
def test_the_calendars_seasons(text: str, seasons: tuple[int, ...]) -> None:
    assert Cadence.parse(text).seasons() == seasons
