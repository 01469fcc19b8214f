"""How long to wait before a server is asked again."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime


class Pauses:
    """Pauses that double, each drawn at random so that many clients do not come back at once."""

    def __init__(
        self, first_seconds: float, longest_seconds: float, random: Callable[[], float]
    ) -> None:
        self._first = first_seconds
        self._longest = longest_seconds
        self._random = random

    def before_next(self, attempt: int, asked_for: float | None) -> float | None:
        """Give the seconds to wait after an attempt; None where the server asks for too many."""
        if asked_for is not None and asked_for > self._longest:
            return None
        drawn = self._random() * min(self._longest, self._first * 2.0**attempt)
        return drawn + (asked_for or 0.0)


def retry_after_seconds(retry_after: str | None, date: str | None) -> float | None:
    """Read the seconds of a Retry-After header, which may hold a date, by the server's own clock.

    None where nothing readable is there.
    """
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        until, now = parsedate_to_datetime(retry_after), parsedate_to_datetime(date or "")
        wait = (until - now).total_seconds()
    except (ValueError, TypeError):  # the latter where one of them names no zone
        return None
    return max(0.0, wait)
