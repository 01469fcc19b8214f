"""Calendars against published holidays and times, and against the library minute by minute."""

import subprocess
import sys
from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.calendars.days import DAY, MINUTE, date_of, day_number, minutes_of
from features.calendars.expiries import is_expiry, monthly_expiry
from features.calendars.phases import PHASES, phase_codes, phases
from features.calendars.sessions import (
    _library_calendar,
    minutes_since_open,
    minutes_to_close,
    minutes_to_open,
    sessions_between,
)
from features.telemetry.columns import Ints

# Weekdays without trading in 2026, as the exchanges publish them.
HOLIDAYS_2026 = {
    "XNYS": "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    "XLON": "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    "XTKS": "01-01 01-02 01-12 02-11 02-23 03-20 04-29 05-04 05-05 05-06 07-20 08-11 09-21 09-22 "
    "09-23 10-12 11-03 11-23 12-31",
}
HALF_DAYS_2026 = {"XNYS": "11-27 12-24", "XLON": "12-24 12-31", "XTKS": ""}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def at_times(day: str, times: str) -> Ints:
    return ts(*(f"{day} {time}" for time in times.split()))


def ts(*texts: str) -> Ints:
    return np.array([at(text) for text in texts], dtype=np.int64)


@pytest.mark.parametrize("exchange", HOLIDAYS_2026)
def test_weekdays_without_trading(exchange: str) -> None:
    year = sessions_between(exchange, at("2026-01-01"), at("2027-01-01"))
    weekdays = {d for d in range(year.days[0] - 5, year.days[-1] + 5) if date_of(d).weekday() < 5}
    closed = sorted(date_of(d) for d in weekdays - set(year.days.tolist()))
    expected = [f"2026-{day}" for day in HOLIDAYS_2026[exchange].split()]
    assert [d.isoformat() for d in closed if d.year == 2026] == expected


@pytest.mark.parametrize("exchange", HALF_DAYS_2026)
def test_half_days(exchange: str) -> None:
    year = sessions_between(exchange, at("2026-01-01"), at("2027-01-01"))
    expected = [f"2026-{day}" for day in HALF_DAYS_2026[exchange].split()]
    assert [date_of(int(d)).isoformat() for d in year.days[year.half_days]] == expected


def test_thanksgiving_and_the_friday_after() -> None:
    assert set(phases("XNYS", minutes_of(day_number(date(2025, 11, 27))))) <= {"closed", "post"}
    friday = ts("2025-11-28 14:31", "2025-11-28 17:49", "2025-11-28 17:50", "2025-11-28 18:01")
    assert phases("XNYS", friday).tolist() == ["half_day", "half_day", "close_auction", "post"]


@pytest.mark.parametrize(
    ("exchange", "winter", "summer"),
    [
        (
            "XNYS",
            ("2026-03-06 14:30", "2026-03-06 21:00"),
            ("2026-03-09 13:30", "2026-03-09 20:00"),
        ),
        (
            "XNYS",
            ("2025-11-03 14:30", "2025-11-03 21:00"),
            ("2025-10-31 13:30", "2025-10-31 20:00"),
        ),
        (
            "XLON",
            ("2026-03-27 08:00", "2026-03-27 16:30"),
            ("2026-03-30 07:00", "2026-03-30 15:30"),
        ),
        (
            "XLON",
            ("2026-10-26 08:00", "2026-10-26 16:30"),
            ("2026-10-23 07:00", "2026-10-23 15:30"),
        ),
        (
            "XTKS",
            ("2026-03-06 00:00", "2026-03-06 06:30"),
            ("2026-07-06 00:00", "2026-07-06 06:30"),
        ),
    ],
)
def test_open_and_close_around_clock_changes(
    exchange: str, winter: tuple[str, str], summer: tuple[str, str]
) -> None:
    for opened, closed in (winter, summer):
        session = sessions_between(exchange, at(opened), at(closed))
        assert session.opens.tolist() == [at(opened)]
        assert session.closes.tolist() == [at(closed)]


def test_tokyo_closes_half_an_hour_later_since_november_2024() -> None:
    assert phases("XTKS", ts("2024-11-01 06:10", "2024-11-05 06:10")).tolist() == [
        "post",
        "continuous",
    ]


def test_a_tokyo_day() -> None:
    day = at_times("2026-01-07", "00:00 00:01 02:29 02:30 03:29 03:30 06:25 07:00")
    assert phases("XTKS", day).tolist() == [
        "open_auction",
        "continuous",
        "continuous",
        "lunch",
        "lunch",
        "continuous",
        "close_auction",
        "closed",
    ]
    # The pre-open of a Tokyo session lies in the UTC day before it.
    assert phases("XTKS", ts("2026-01-06 22:59", "2026-01-06 23:00")).tolist() == ["closed", "pre"]


def test_new_york_trades_after_hours_into_the_next_utc_day() -> None:
    night = ts("2026-01-07 23:59", "2026-01-08 00:59", "2026-01-08 01:00", "2026-01-08 09:00")
    assert phases("XNYS", night).tolist() == ["post", "post", "closed", "pre"]


def test_a_london_day() -> None:
    day = at_times("2026-01-07", "07:14 07:15 07:50 08:00 16:29 16:30 16:35 17:15")
    assert phases("XLON", day).tolist() == [
        "closed",
        "pre",
        "open_auction",
        "continuous",
        "continuous",
        "close_auction",
        "post",
        "closed",
    ]


@pytest.mark.parametrize(
    "expiry", ["2025-04-17", "2026-01-16", "2026-06-18", "2026-11-20", "2024-03-15", "2019-04-18"]
)
def test_options_expire_on_the_third_friday_or_the_session_before(expiry: str) -> None:
    day = date.fromisoformat(expiry)
    assert monthly_expiry("XNYS", day.year, day.month) == day
    near = np.arange(day_number(day) - 6, day_number(day) + 7)
    assert near[is_expiry("XNYS", near)].tolist() == [day_number(day)]


def test_minutes_to_open_and_close() -> None:
    moments = ts("2026-04-02 20:00", "2026-04-06 13:29", "2026-04-06 13:30", "2026-04-06 19:59")
    # Good Friday 2026-04-03: from Thursday's close to Monday's open are three days and 17.5 hours.
    assert minutes_to_open("XNYS", moments).tolist() == [5370.0, 1.0, 0.0, 1051.0]
    assert minutes_to_close("XNYS", moments).tolist() == [5760.0, 391.0, 390.0, 1.0]
    assert minutes_since_open("XNYS", moments).tolist() == [390.0, 5759.0, 0.0, 389.0]


@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XTKS", "XHKG", "XETR"])
def test_agrees_with_the_library_on_every_trading_minute_of_a_year(exchange: str) -> None:
    minutes = np.arange(at("2026-01-03"), at("2026-12-30"), MINUTE)
    since = minutes_since_open(exchange, minutes)
    ahead = minutes_to_close(exchange, minutes) < minutes_to_open(exchange, minutes)
    trading = (ahead | (since == 0)) & (phases(exchange, minutes) != "lunch")
    theirs = _library_calendar(exchange, 2026).minutes.tz_convert(None).to_numpy()
    expected = theirs.astype("datetime64[s]").astype(np.int64)
    within = (expected >= minutes[0]) & (expected <= minutes[-1])
    np.testing.assert_array_equal(minutes[trading], expected[within])


@given(
    offsets=st.lists(st.integers(0, 20 * DAY // MINUTE), max_size=50),
    exchange=st.sampled_from(["XNYS", "XLON", "XTKS"]),
)
def test_a_minutes_phase_does_not_depend_on_its_company(offsets: list[int], exchange: str) -> None:
    many = at("2025-12-20") + MINUTE * np.array(offsets, dtype=np.int64)
    alone = [int(phase_codes(exchange, many[k : k + 1])[0]) for k in range(len(many))]
    assert phase_codes(exchange, many).tolist() == alone
    assert set(phases(exchange, many)) <= set(PHASES)


def test_no_minutes_have_no_phases() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert len(phases("XTKS", none)) == len(minutes_to_open("XTKS", none)) == 0


def test_an_unknown_exchange_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"'NOPE'; use one of .*XNYS"):
        sessions_between("NOPE", at("2026-01-01"), at("2026-02-01"))


def test_pandas_is_not_imported_before_a_date_is_asked_for() -> None:
    program = (
        "import sys, features.calendars.phases, features.calendars.expiries, "
        "features.sources.simulator.platform; sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
