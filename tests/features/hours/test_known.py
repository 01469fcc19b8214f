"""The calendar's columns against published dates and times, and against the minutes' phases."""

import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.calendars.days import DAY, MINUTE
from features.calendars.phases import phases
from features.hours.known import HOUR, NAMES, calendar_events, known_hours

EXCHANGES = ("XNYS", "XLON", "XTKS")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def day(exchange: str, date: str) -> dict[str, Any]:
    """Give the hours 12:00 to 20:00 UTC of a day, which are that date in New York and London."""
    matrix = known_hours(exchange, at(f"{date}T12:00"), 8)
    return dict(zip(NAMES, matrix.T, strict=True))


@pytest.mark.parametrize(
    ("exchange", "date", "kinds"),
    [
        ("XNYS", "2026-11-25", {"holiday_eve"}),
        ("XNYS", "2026-11-26", {"holiday"}),  # Thanksgiving
        ("XNYS", "2026-11-27", {"half_day", "after_holiday"}),
        ("XNYS", "2026-11-28", {"weekend"}),
        ("XNYS", "2026-11-30", {"month_end"}),
        ("XNYS", "2026-11-20", {"expiry"}),
        ("XNYS", "2026-12-18", {"expiry", "quarter_expiry"}),
        ("XNYS", "2025-04-17", {"expiry", "holiday_eve"}),  # the third Friday is Good Friday
        ("XNYS", "2026-11-18", set()),
        ("XLON", "2026-12-24", {"half_day", "holiday_eve"}),
        ("XLON", "2026-12-28", {"holiday"}),
        ("XLON", "2026-11-26", set()),
    ],
)
def test_the_kind_of_a_date(exchange: str, date: str, kinds: set[str]) -> None:
    found = day(exchange, date)
    said = {
        name for name in NAMES[NAMES.index("half_day") :] if found[name].all()
    }  # fmt: skip
    assert said == kinds


@pytest.mark.parametrize(("date", "hour"), [("2026-11-18", 14), ("2026-07-15", 13)])
def test_new_york_opens_half_past_an_hour_that_moves_with_summer_time(date: str, hour: int) -> None:
    matrix = known_hours("XNYS", at(date), 24)
    column = dict(zip(NAMES, matrix.T, strict=True))
    opening = np.zeros(24)
    opening[[hour, hour + 1]] = 0.5
    assert column["opening"].tolist() == opening.tolist()
    assert np.flatnonzero(column["closing"]).tolist() == [hour + 6]
    assert column["hours_to_open"][hour - 1] == pytest.approx(1.5 / 24)
    assert column["hours_to_close"][hour + 6] == pytest.approx(1 / 24)


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_shares_count_the_minutes_of_each_phase(exchange: str) -> None:
    start = at("2026-03-02")
    matrix = known_hours(exchange, start, 14 * 24)
    phase = phases(exchange, np.arange(start, start + 14 * DAY, MINUTE)).reshape(-1, 60)
    for name, counted in {
        "open": ("continuous", "half_day"),
        "pre": ("pre",),
        "post": ("post",),
        "lunch": ("lunch",),
        "open_auction": ("open_auction",),
        "close_auction": ("close_auction",),
    }.items():
        share = np.isin(phase, counted).mean(axis=1)
        assert matrix[:, NAMES.index(name)] == pytest.approx(share)


@given(
    exchange=st.sampled_from(EXCHANGES),
    start=st.integers(at("2024-01-01") // HOUR, at("2026-12-01") // HOUR),
    hours=st.integers(0, 60),
    skipped=st.integers(0, 60),
)
@settings(max_examples=50, deadline=None)
def test_a_row_depends_on_its_hour_alone(
    exchange: str, start: int, hours: int, skipped: int
) -> None:
    whole = known_hours(exchange, start * HOUR, hours + skipped)
    part = known_hours(exchange, (start + skipped) * HOUR, hours)
    assert whole.shape == (hours + skipped, len(NAMES))
    assert whole[skipped:].tobytes() == part.tobytes()
    assert np.all((part >= 0) & (part <= 1))


def test_changing_an_answer_changes_no_later_one() -> None:
    first = known_hours("XNYS", at("2026-11-18"), 24)
    before = first.copy()
    first[:] = 7
    assert np.array_equal(known_hours("XNYS", at("2026-11-18"), 24), before)


def test_events_are_counted_in_the_hour_that_feels_them() -> None:
    events = calendar_events("XNYS", at("2026-11-27"), 24)  # open 14:30, early close 18:00
    assert np.flatnonzero(events).tolist() == [14, 17]
    assert events[[14, 17]].tolist() == [1, 2]
    assert calendar_events("XNYS", at("2026-11-20"), 24)[20] == 2  # a close, and an expiry's
    assert calendar_events("XNYS", at("2026-11-26"), 24).sum() == 0


def test_a_start_within_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="is not the start of an hour"):
        known_hours("XNYS", at("2026-11-18") + 60, 3)


def test_two_months_of_nine_entities_are_quick_once_known() -> None:
    start = at("2026-09-01")
    for exchange in EXCHANGES:
        known_hours(exchange, start, 61 * 24)
    began = time.thread_time()
    for exchange in EXCHANGES * 3:
        known_hours(exchange, start, 61 * 24)
    assert time.thread_time() - began < 0.5
