"""What is asked of a source that refuses: less and less, until it is known which interval it is."""

from datetime import UTC, datetime

from features.errors import SourceRefusedError
from features.sources.source import Complaint

# Somebody may be changing the server at this very moment: a gap stays one.
REFUSALS = 3


class Narrowing:
    """How much a source is asked for at a time in one direction, in intervals.

    Of a row of intervals that are refused the first is asked for three times, the others once.
    """

    def __init__(self) -> None:
        self._most: int | None = None
        self._refused: int | None = None
        self._times = 0
        self.in_gap = False

    def fit(self, intervals: int) -> int:
        return intervals if self._most is None else min(self._most, intervals)

    def answered(self, intervals: int, usual: int) -> None:
        """Ask for more again, little by little, up to what is usual."""
        self._times, self.in_gap = 0, False
        if self._most is not None:
            self._most = max(self._most, 2 * intervals)
            if self._most >= usual:
                self._most = None

    def halve(self, intervals: int) -> None:
        self._most = intervals // 2

    def is_certain(self, start: int) -> bool:
        """Tell whether the single interval that begins then was refused often enough."""
        if start != self._refused:
            self._refused, self._times = start, 0
        self._times += 1
        return self.in_gap or self._times >= REFUSALS

    def pass_over(self) -> None:
        self._most, self.in_gap = 1, True


def gap(start: int, refusal: SourceRefusedError) -> Complaint:
    """Complain of an interval that is refused while others are answered."""
    at = datetime.fromtimestamp(start, UTC).isoformat().replace("+00:00", "Z")
    reason = f"the interval at {at} is refused, later ones are answered: {refusal.reason}"
    return Complaint("gap", 1, reason)
