from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from deployments.api.timestamps import (
    EARLIEST,
    LATEST,
    Timestamp,
    TimestampOrEpoch,
    read_timestamp,
    read_timestamp_or_epoch,
)

AT_SEVEN = datetime(2026, 11, 20, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2026-11-20T07:00:00Z", AT_SEVEN),
        ("2026-11-20t07:00:00z", AT_SEVEN),
        ("2026-11-20T08:30:00+01:30", AT_SEVEN),
        ("2026-11-20T08:30:00 01:30", AT_SEVEN),
        ("2026-11-20T06:00:00-01:00", AT_SEVEN),
        ("2026-11-20T07:00:00.123456789012Z", AT_SEVEN + timedelta(microseconds=123456)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("0000-02-29T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+23:59", EARLIEST),
        ("9999-12-31T23:59:59-23:59", LATEST),
    ],
)
def test_all_of_rfc_3339_is_read(text: str, timestamp: datetime) -> None:
    assert read_timestamp(text) == timestamp


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-29T00:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T07:00:61Z",
        "2026-11-20T07:00:00",
        "2026-11-20",
        "1763622000",
        1763622000,
        None,
        True,
    ],
)
def test_what_is_no_moment_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="such as 2026-11-20T08:00:00Z"):
        read_timestamp(value)


def test_seconds_since_1970_have_bounds() -> None:
    assert read_timestamp_or_epoch(AT_SEVEN.timestamp()) == AT_SEVEN
    assert read_timestamp_or_epoch(1e11) == LATEST
    for value in (-1, 1.1e11, float("nan")):
        with pytest.raises(ValueError, match="between 0 and"):
            read_timestamp_or_epoch(value)


@st.composite
def date_times(draw: st.DrawFn) -> str:
    """Draw what the description's format `date-time` admits, year 0 and its ends among them."""

    def number(low: int, high: int, digits: int = 2) -> str:
        return str(draw(st.integers(low, high))).zfill(digits)

    day = f"{number(0, 9999, 4)}-{number(1, 12)}-{number(1, 28)}"
    time = f"{number(0, 23)}:{number(0, 59)}:{number(0, 60)}"
    fraction = draw(st.sampled_from(["", ".5", ".123456789"]))
    offset = draw(st.sampled_from(["Z", f"+{number(0, 23)}:{number(0, 59)}", "-23:59"]))
    return f"{day}T{time}{fraction}{offset}"


class Asked(BaseModel):
    timestamp: Timestamp
    either: TimestampOrEpoch


@given(date_times(), date_times() | st.floats(0, 1e11) | st.integers(0, 10**11))
def test_whatever_fits_the_description_is_taken(timestamp: str, either: str | float) -> None:
    asked = Asked.model_validate({"timestamp": timestamp, "either": either})
    for found in (asked.timestamp, asked.either):
        assert EARLIEST <= found <= LATEST + timedelta(seconds=1)


def test_the_description_says_what_is_taken() -> None:
    shown = Asked.model_json_schema()["properties"]
    assert shown["timestamp"]["format"] == "date-time"
    assert [each["type"] for each in shown["either"]["anyOf"]] == ["string", "number"]
