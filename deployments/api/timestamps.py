"""Timestamps as clients write them: all of RFC 3339, brought into the years in which things happen.

What the description calls a date and time has years from 0 to 9999, leap seconds, and fractions of
any length, of which Python and the column store each take a part only.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

# Older than any decision, and as far back as the column store's dates go; later than anybody asks.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MOST_EPOCH_SECONDS = 1e11
# In a query a plus sign that was not written as %2B arrives as a space.
_RFC_3339 = re.compile(
    r"(?P<year>\d{4})(?P<day>-\d\d-\d\dT)(?P<minute>\d\d:\d\d:)(?P<second>\d\d)(?P<fraction>\.\d+)?"
    r"(?P<offset>Z|[+ -]\d\d:\d\d)"
)
_AN_EXAMPLE = "give a date and time with its offset, such as 2026-11-20T08:00:00Z"
_TEXT = {"type": "string", "format": "date-time"}
_EPOCH = {"type": "number", "minimum": 0.0, "maximum": MOST_EPOCH_SECONDS}


def read_timestamp(value: object) -> datetime:
    """Read RFC 3339, and no number, which pydantic would take for seconds; raises ValueError."""
    found = _RFC_3339.fullmatch(value.upper()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_AN_EXAMPLE)
    year_0, leap = found["year"] == "0000", found["second"] == "60"
    year = "2000" if year_0 else found["year"]  # both are leap years
    second = "59" if leap else found["second"]
    offset = found["offset"].replace(" ", "+")
    fraction = found["fraction"] or ""
    try:
        timestamp = datetime.fromisoformat(
            f"{year}{found['day']}{found['minute']}{second}{fraction}{offset}"
        )
    except ValueError as error:
        raise ValueError(f"{_AN_EXAMPLE}: {error}") from None
    if year_0:
        return EARLIEST
    return _within(timestamp) + timedelta(seconds=leap)


def read_timestamp_or_epoch(value: object) -> datetime:
    """Read RFC 3339, or seconds since 1970."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= MOST_EPOCH_SECONDS:
            raise ValueError(f"seconds since 1970 are between 0 and {MOST_EPOCH_SECONDS:.0f}")
        return _within(datetime.fromtimestamp(value, UTC))
    return read_timestamp(value)


def _within(timestamp: datetime) -> datetime:
    return min(max(timestamp, EARLIEST), LATEST)


Timestamp = Annotated[datetime, BeforeValidator(read_timestamp), WithJsonSchema(_TEXT)]
TimestampOrEpoch = Annotated[
    datetime, BeforeValidator(read_timestamp_or_epoch), WithJsonSchema({"anyOf": [_TEXT, _EPOCH]})
]
