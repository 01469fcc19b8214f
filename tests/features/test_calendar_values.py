"""The calendar's features, against dates that anybody can look up."""

import math
from datetime import UTC, datetime

import pytest

from features.calendars.of_entity import calendar_values

ZONE_ONLY = {"hour_of_day", "day_of_week", "is_business_hours"}


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp())  # type: ignore[arg-type] # whole numbers


def test_the_friday_after_thanksgiving_is_half_a_day_in_new_york() -> None:
    assert calendar_values("XNYS", None, at(2025, 11, 28, 15, 30)) == {
        "hour_of_day": 10.0,
        "day_of_week": 4.0,
        "is_business_hours": 1.0,
        "minutes_to_open": 3 * 1440 - 60.0,
        "minutes_to_close": 150.0,
        "is_half_day": 1.0,
        "days_to_expiry": 21.0,
    }


@pytest.mark.parametrize(
    ("moment", "days"),
    [
        ((2025, 12, 19, 15), 0.0),
        ((2025, 12, 20, 15), 27.0),  # the sixteenth of January
        ((2026, 3, 1, 4), 20.0),  # in New York the last day of February still
        ((2025, 4, 17, 15), 0.0),  # Good Friday is the eighteenth
    ],
)
def test_options_expire_on_the_third_friday_or_the_session_before(
    moment: tuple[int, ...], days: float
) -> None:
    assert calendar_values("XNYS", None, at(*moment))["days_to_expiry"] == days


def test_a_holiday_of_the_exchange_has_no_business_hours() -> None:
    christmas = at(2025, 12, 25, 15)
    assert calendar_values("XNYS", None, christmas)["is_business_hours"] == 0.0
    assert calendar_values(None, "America/New_York", christmas)["is_business_hours"] == 1.0


def test_a_stated_time_zone_goes_before_the_exchanges() -> None:
    moment = at(2026, 3, 10, 14)
    assert calendar_values("XNYS", None, moment)["hour_of_day"] == 10.0
    assert calendar_values("XNYS", "Asia/Tokyo", moment)["hour_of_day"] == 23.0


@pytest.mark.parametrize("exchange", [None, "ABCD"])
def test_without_a_known_exchange_only_the_time_zones_are_given(exchange: str | None) -> None:
    found = calendar_values(exchange, "Asia/Tokyo", at(2026, 3, 10, 3))
    assert {name for name, value in found.items() if not math.isnan(value)} == ZONE_ONLY
    nothing = calendar_values(exchange, None, at(2026, 3, 10, 3))
    assert all(math.isnan(value) for value in nothing.values())
