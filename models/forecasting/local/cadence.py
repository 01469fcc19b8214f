"""How far apart values lie: from 15 seconds to a calendar month."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from models.errors import TrainingDataError

FREQUENCY = r"^[1-9][0-9]{0,6}(s|m|h|d|w|mo)$"
MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK = 7 * DAY
_SECONDS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
SHORTEST, LONGEST = 15, 31 * DAY
_MONTH_SECONDS = 2_629_746
"""A twelfth of the Gregorian calendar's mean year."""
_SHORTEST_MONTH = 28 * DAY
_YEAR_SECONDS = 12 * _MONTH_SECONDS
# A time may lie so far off its place in the grid, as a share of the step.
_OFF_GRID = 0.25
# Seasons that are longer are read into no series: their places would have few values each.
_LONGEST_SEASON = 4_000


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds from one value to the next, or one calendar month."""

    seconds: int
    monthly: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read such as 15s, 5m, 1h, 1d, 1w or 1mo; raises ValueError."""
        found = re.fullmatch(FREQUENCY, text)
        if found is None:
            raise ValueError(f"{text!r} is no frequency: give one such as 15s, 5m, 1h, 1d, 1w, 1mo")
        unit = found[1]
        count = int(text.removesuffix(unit))
        if unit == "mo":
            if count != 1:
                raise ValueError(f"{text} is too long: a month, 1mo, is the longest frequency")
            return cls(_MONTH_SECONDS, monthly=True)
        seconds = count * _SECONDS[unit]
        if not SHORTEST <= seconds <= LONGEST:
            raise ValueError(f"{text} is not between 15s and 1mo")
        return cls(seconds)

    @classmethod
    def found_in(cls, ts: npt.NDArray[np.int64]) -> Self:
        """Take the most frequent distance of these times; raises TrainingDataError."""
        steps = np.diff(ts)
        if steps.size and np.min(steps) >= _SHORTEST_MONTH and _same_day_of_month(ts):
            return cls(_MONTH_SECONDS, monthly=True)
        sizes, counts = np.unique(steps, return_counts=True)
        seconds = int(sizes[np.argmax(counts)]) if sizes.size else 0
        if not SHORTEST <= seconds <= LONGEST:
            raise TrainingDataError(
                f"the times lie {seconds} seconds apart: give steps from 15 seconds to a month"
            )
        return cls(seconds)

    def places(self, ts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Count the steps from the first time to each; raises TrainingDataError off the grid."""
        if self.monthly:
            months = np.array([_month(int(each)) for each in ts], dtype=np.int64)
            places: npt.NDArray[np.int64] = months - months[0]
        else:
            exact = (ts - ts[0]) / self.seconds
            places = np.rint(exact).astype(np.int64)
            if np.max(np.abs(exact - places), initial=0.0) > _OFF_GRID:
                raise TrainingDataError(
                    f"the times lie on no even grid of {self.seconds} seconds: round them to it"
                )
        if any(after == before for before, after in pairwise(places.tolist())):
            raise TrainingDataError(
                f"two times lie in one step of {self.seconds} seconds: give a smaller frequency"
            )
        return places

    def times(self, first: int, places: npt.NDArray[np.int64]) -> list[int]:
        """Give the epoch seconds at these places, counted from the first time."""
        if not self.monthly:
            return [first + self.seconds * int(place) for place in places]
        return [_months_on(first, int(place)) for place in places]

    def span(self, steps: int) -> str:
        """Say how long so many steps are."""
        count = f"{steps} step" if steps == 1 else f"{steps} steps"
        if self.monthly:
            return count
        seconds = steps * self.seconds
        unit = max(
            (each for each in _SECONDS if _SECONDS[each] <= seconds), key=_SECONDS.__getitem__
        )
        return f"{count} ({seconds / _SECONDS[unit]:.3g} {unit})"

    def seasons(self) -> tuple[int, ...]:
        """Give the calendar's seasons in steps, short ones first: day, week and year."""
        if self.monthly:
            return (12,)
        spans = (DAY, WEEK) if self.seconds < WEEK else (_YEAR_SECONDS,)
        whole = (round(span / self.seconds) for span in spans)
        return tuple(
            season
            for season, span in zip(whole, spans, strict=True)
            if 2 <= season <= _LONGEST_SEASON  # noqa: PLR2004 - one step is no season
            and (span == _YEAR_SECONDS or season * self.seconds == span)
        )


def _utc(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _month(epoch: int) -> int:
    when = _utc(epoch)
    return 12 * when.year + when.month - 1


def _same_day_of_month(ts: npt.NDArray[np.int64]) -> bool:
    """Say whether the times lie on one day of their months, or all on the last one."""
    days = {_utc(int(each)).day for each in ts}
    ends = {_utc(int(each) + DAY).day for each in ts}
    return len(days) == 1 or ends == {1}


def _months_on(epoch: int, months: int) -> int:
    """Go on so many months; a day that a month has not becomes its last, as ends of months do."""
    when = _utc(epoch)
    at_end = _utc(epoch + DAY).day == 1
    year, month = divmod(12 * when.year + when.month - 1 + months, 12)
    after_year, after = divmod(12 * year + month + 1, 12)
    first_of_next = datetime(after_year, after + 1, 1, tzinfo=UTC)
    last = _utc(int(first_of_next.timestamp()) - DAY).day
    day = last if at_end else min(when.day, last)
    return int(when.replace(year=year, month=month + 1, day=day).timestamp())
