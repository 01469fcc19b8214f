"""Which phase of trading a minute falls in: closed, pre-open, auctions, continuous, lunch, post.

Auction times follow what the exchanges publish: NYSE freezes the opening book two minutes before
9:30 and restricts closing orders from 15:50; London calls the open at 7:50 and the close from 16:30
to 16:35; Tokyo collects closing orders in the five minutes before its close.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.calendars.days import DAY, MINUTE, MINUTES_A_DAY
from features.calendars.sessions import sessions_between
from features.telemetry.columns import Ints, Texts

PHASES = (
    "closed",
    "pre",
    "open_auction",
    "continuous",
    "half_day",
    "lunch",
    "close_auction",
    "post",
)
"""A phase's code is its place here; `half_day` is continuous trading when the close comes early."""

Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Timetable:
    """Minutes around the open and the close; an auction's [first, last) counts from its edge."""

    pre: int
    open_auction: tuple[int, int]
    close_auction: tuple[int, int]
    post: int


_TIMETABLES = {
    "XNYS": Timetable(pre=330, open_auction=(-2, 1), close_auction=(-10, 1), post=240),
    "XNAS": Timetable(pre=330, open_auction=(-2, 1), close_auction=(-10, 1), post=240),
    "XLON": Timetable(pre=45, open_auction=(-10, 0), close_auction=(0, 5), post=45),
    "XTKS": Timetable(pre=60, open_auction=(-1, 1), close_auction=(-5, 1), post=30),
}
_ANY_EXCHANGE = Timetable(pre=30, open_auction=(-1, 1), close_auction=(-1, 1), post=30)


def phase_codes(exchange: str, ts: Ints) -> Codes:
    """Find the phase of each minute, as a place in PHASES."""
    days, row = np.unique(ts // DAY, return_inverse=True)
    if not len(days):
        return np.zeros(0, dtype=np.int8)
    table = np.stack([day_phases(exchange, int(day)) for day in days])
    codes: Codes = table[row, (ts % DAY) // MINUTE]
    return codes


def phases(exchange: str, ts: Ints) -> Texts:
    """Name the phase of each minute."""
    names: Texts = np.array(PHASES)[phase_codes(exchange, ts)]
    return names


@lru_cache(maxsize=1024)
def day_phases(exchange: str, day: int) -> Codes:
    """Give the phase codes of the 1,440 minutes of a UTC day (read-only, since it is cached)."""
    codes = np.zeros(MINUTES_A_DAY, dtype=np.int8)
    times = _TIMETABLES.get(exchange, _ANY_EXCHANGE)
    near = sessions_between(exchange, (day - 1) * DAY, (day + 2) * DAY)
    for at in range(len(near)):
        opened, closed, lunch, back = (
            int(edge[at] - day * DAY) // MINUTE
            for edge in (near.opens, near.closes, near.break_starts, near.break_ends)
        )
        trading = "half_day" if near.half_days[at] else "continuous"
        _paint(codes, "pre", opened - times.pre, opened)
        _paint(codes, "post", closed, closed + times.post)
        _paint(codes, trading, opened, closed)
        _paint(codes, "lunch", lunch, back)
        _paint(codes, "open_auction", *(opened + m for m in times.open_auction))
        _paint(codes, "close_auction", *(closed + m for m in times.close_auction))
    codes.setflags(write=False)
    return codes


def _paint(codes: Codes, phase: str, first: int, last: int) -> None:
    codes[max(first, 0) : max(last, 0)] = PHASES.index(phase)
