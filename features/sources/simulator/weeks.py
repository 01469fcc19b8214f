"""Weeks from Monday 00:00 UTC, the units in which the rare happenings are drawn."""

from features.calendars.days import DAY

WEEK = 7 * DAY
_MONDAY = 4 * DAY  # the first Monday after 1970-01-01, a Thursday


def week_of(ts: int) -> int:
    return (ts - _MONDAY) // WEEK


def week_start(week: int) -> int:
    return week * WEEK + _MONDAY


def weeks_touching(start: int, stop: int, *, before: int) -> range:
    """List the weeks of [start, stop) and as many before them as may still be felt."""
    return range(week_of(start) - before, week_of(max(stop - 1, start)) + 1)
