"""Judges what is in a field of a log: times, latencies, and what tells that a request failed."""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Literal, NamedTuple

from features.sources.logs.config import Condition, TimeField
from features.sources.logs.conventions import (
    BUNYAN_ERROR,
    BUNYAN_LEVELS,
    FAILED_LEVELS,
    GRPC_FAILURES,
    SYSLOG_FAILED,
    SYSLOG_LEVELS,
)
from features.sources.logs.fields import FieldSeen
from features.sources.logs.patterns import IN_SECONDS, number_of, time_reader

# Some lines of a file are of another kind, or broken.
MOSTLY = 0.9
YEAR_2000, YEAR_2100 = 946_684_800, 4_102_444_800
# In any zone: whether it is a time at all does not depend on it.
_read_time = time_reader(TimeField(zone="UTC"))
_DATE_AND_TIME = re.compile(r"\d{4}-?\d\d-?\d\d[T ]\d\d:?\d\d")


By = Literal["status", "gRPC code", "level"]


class Failed(NamedTuple):
    """By what a failed request is known."""

    field: str
    by: By
    condition: Condition


def time_in(seen: FieldSeen) -> TimeField | None:
    """See how the times are written."""
    if _mostly(seen, _reads):
        return TimeField(field=seen.name)
    for unit, seconds in IN_SECONDS.items():
        if _mostly(seen, partial(_is_since_1970, seconds=seconds)):
            return TimeField.model_validate({"field": seen.name, "format": unit})
    return None


def _mostly(seen: FieldSeen, test: Callable[[Any], bool]) -> bool:
    return sum(map(test, seen.values)) >= MOSTLY * len(seen.values)


def _is_since_1970(value: Any, seconds: float) -> bool:
    return YEAR_2000 < (number_of(value) or 0) * seconds < YEAR_2100


def _reads(value: Any) -> bool:
    try:
        _read_time(value)
    except (ValueError, TypeError):
        return False
    return True


def lacks_offset(seen: FieldSeen) -> bool:
    """Tell whether any of the times names no offset."""
    return any(_reads(each) and datetime.fromisoformat(each).tzinfo is None for each in seen.values)


def look_like_times(seen: FieldSeen) -> bool:
    """Tell whether they are written as date and time, whatever the field's name."""
    return all(isinstance(each, str) and _DATE_AND_TIME.match(each) for each in seen.values)


def are_latencies(seen: FieldSeen) -> bool:
    """Tell whether they may be, by their sign."""
    return _mostly(seen, _is_latency)


def _is_latency(value: Any) -> bool:
    number = number_of(value)
    return number is not None and number >= 0


def _is_status(value: Any) -> bool:
    number = number_of(value)
    return number is not None and 100 <= number < 600  # noqa: PLR2004 - HTTP's own bounds


def by_status(seen: FieldSeen) -> Failed | None:
    """Take statuses of HTTP: 5xx is the server's failure."""
    if not _mostly(seen, _is_status):
        return None
    return Failed(seen.name, "status", Condition(field=seen.name, at_least=500))


def by_code(seen: FieldSeen) -> Failed | None:
    """Take names of gRPC codes."""
    if not {"OK", "Unknown", "Internal", "Unavailable"} & seen.texts():
        return None
    return Failed(seen.name, "gRPC code", Condition(field=seen.name, matches=GRPC_FAILURES))


def by_level(seen: FieldSeen) -> Failed | None:
    """Take the levels of a logger."""
    numbers = {each for each in seen.values if type(each) is int}
    name = seen.name
    if len(seen.texts()) and not numbers:
        return Failed(name, "level", Condition(field=name, matches=FAILED_LEVELS))
    if numbers and numbers <= BUNYAN_LEVELS:
        return Failed(name, "level", Condition(field=name, at_least=BUNYAN_ERROR))
    if numbers and numbers <= SYSLOG_LEVELS:
        return Failed(name, "level", Condition(field=name, matches=SYSLOG_FAILED))
    return None
