"""When emergency mode goes on by itself: rules as data, and the counts that they are held against.

Emergency mode is for a platform whose models cannot be trusted: every family answers its fallback
until an admin ends it. So the rules count what is rare while all is well.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import Field

from settings.frozen import Frozen

LONGEST_SECONDS = 3600.0


class CriticalRule(Frozen):
    """So many rows with a critical violation within so many seconds."""

    count: int = Field(ge=1)
    seconds: float = Field(ge=1, le=LONGEST_SECONDS)


class ErrorRule(Frozen):
    """So large a share of rows that no model answered, of at least so many rows."""

    share: float = Field(gt=0, le=1)
    seconds: float = Field(ge=1, le=LONGEST_SECONDS)
    least_rows: int = Field(100, ge=1)


class DriftRule(Frozen):
    """Answers of one field that are spread otherwise than they were before (safety/drift.py)."""

    family: str
    field: str
    score: float = Field(0.25, gt=0, description="The population stability index to end at.")
    seconds: float = Field(300.0, ge=10, le=LONGEST_SECONDS)
    least_rows: int = Field(1000, ge=100)


class EmergencyRules(Frozen):
    """Each may be left out; without any, only an operator turns emergency mode on."""

    critical: CriticalRule | None = None
    errors: ErrorRule | None = None
    drift: tuple[DriftRule, ...] = Field((), max_length=8)


class Tally(NamedTuple):
    """What was judged in some time."""

    rows: int = 0
    critical: int = 0
    unanswered: int = 0

    def plus(self, other: "Tally") -> "Tally":
        return Tally(
            self.rows + other.rows,
            self.critical + other.critical,
            self.unanswered + other.unanswered,
        )


class Counts:
    """What a replica judged, second by second; times are of a monotonic clock."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, Tally]] = deque()

    def note(self, tally: Tally, now: float) -> None:
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1].plus(tally))
            return
        self._seconds.append((second, tally))
        while self._seconds[0][0] < second - LONGEST_SECONDS:
            self._seconds.popleft()

    def within(self, seconds: float, now: float) -> Tally:
        """Sum up the last seconds, of which the first and the present one are parts."""
        total = Tally()
        for second, tally in reversed(self._seconds):
            if second < int(now - seconds):
                break
            total = total.plus(tally)
        return total

    def are_over(self, now: float) -> bool:
        """Tell whether no rule can look back to any of them."""
        return not self._seconds or self._seconds[-1][0] < int(now - LONGEST_SECONDS)


class Tallies(NamedTuple):
    """What one replica counted in the time of each rule that counts rows."""

    critical: Tally = Tally()
    errors: Tally = Tally()

    def plus(self, other: "Tallies") -> "Tallies":
        return Tallies(self.critical.plus(other.critical), self.errors.plus(other.errors))


def tallies(
    rules: EmergencyRules, counts: Counts, now: float, most_seconds: float = LONGEST_SECONDS
) -> Tallies:
    """Count what this replica has for each rule, of the last seconds at most."""

    def within(seconds: float) -> Tally:
        return counts.within(min(seconds, most_seconds), now)

    return Tallies(
        within(rules.critical.seconds) if rules.critical else Tally(),
        within(rules.errors.seconds) if rules.errors else Tally(),
    )


class Reason(NamedTuple):
    """Which rule turns emergency mode on, and what it found, in a sentence."""

    rule: str
    reason: str


def first_broken(rules: EmergencyRules, found: Iterable[Tallies]) -> Reason | None:
    """Hold what all replicas counted together against the rules that count rows."""
    total = Tallies()
    for each in found:
        total = total.plus(each)
    if (critical := rules.critical) and total.critical.critical >= critical.count:
        return Reason(
            "critical",
            f"{total.critical.critical} rows broke critical limits within {critical.seconds:g} s; "
            f"the policy allows fewer than {critical.count}",
        )
    if (errors := rules.errors) and total.errors.rows >= errors.least_rows:
        share = total.errors.unanswered / total.errors.rows
        if share >= errors.share:
            return Reason(
                "errors",
                f"no model answered {share:.1%} of {total.errors.rows} rows within "
                f"{errors.seconds:g} s; the policy allows less than {errors.share:.1%}",
            )
    return None
