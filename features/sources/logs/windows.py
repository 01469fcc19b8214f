"""Adds posted lines up, one interval after the other.

An interval is finished as that of files is: once it is over, and the time in which a line may still
come is over too. One whose first line comes later than that waits for the others: who could not
send for a while sends what is older first.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from features.sources.logs.config import LineRules
from features.sources.logs.intervals import Draw, Key, Tally, draw_by_name, gathered
from features.sources.logs.patterns import LineRead
from features.sources.logs.source import MOST_TALLIES
from features.sources.logs.stream import ArrivedLines
from features.sources.source import Complaint, Faults, Gathered, add_up
from features.telemetry.columns import Telemetry

# From the first line of an interval that comes too late to its end: other senders send again after
# a pause of theirs.
CATCH_UP_SECONDS = 30.0
# Clocks differ, and what came at this moment was not read yet.
SETTLE_SECONDS = 1.0


class _Held(NamedTuple):
    """An entry of the stream, and the newest interval that it is part of."""

    id: str
    identity: str
    newest: int


class LineWindows:
    """The lines of one source that may still count, and the intervals that they make.

    `finished_to` is all that must be remembered elsewhere, for the lines come again: an entry of
    the stream is let go of only when the intervals that it is part of are stored.
    """

    def __init__(
        self,
        rules: LineRules,
        cadence_seconds: int,
        lateness_seconds: int,
        *,
        finished_to: int = 0,
        draw: Draw = draw_by_name,
    ) -> None:
        self.finished_to = finished_to
        self._cadence = cadence_seconds
        self._lateness = lateness_seconds
        self._errors = any(each.kind == "error" for each in rules.patterns)
        self._draw = draw
        self._tallies: dict[Key, Tally] = {}
        # When each interval is finished, epoch seconds.
        self._ends: dict[int, float] = {}
        self._entries: deque[_Held] = deque()
        self._identities: set[str] = set()
        self._complaints: tuple[Complaint, ...] = ()
        # What came before this process did is no news, however old it is.
        self._finished_at_ms = float("inf")

    def take(self, arrived: Sequence[ArrivedLines]) -> None:
        """Take entries of the stream in, in the stream's order."""
        faults = Faults()
        for each in arrived:
            newest = -1
            if each.batch.identity not in self._identities:
                self._identities.add(each.batch.identity)
                found = (self._add(line, each.received_ms, faults) for line in each.batch.lines)
                newest = max(found, default=-1)
                self._complaints = add_up([*self._complaints, *each.batch.complaints])
            self._entries.append(_Held(each.id, each.batch.identity, newest))
        self._complaints = add_up([*self._complaints, *faults.complaints()])

    def finished(self, now: float) -> Gathered:
        """Give the oldest interval, if it is finished; `until` says up to where all are then.

        Until `stored` is called it is given again.
        """
        ts = min(self._ends, default=None)
        if ts is None or now - SETTLE_SECONDS < self._ends[ts]:
            # What waits for no interval is let go of, and complaints are heard.
            nothing_left = self._complaints or self._done()
            until = self.finished_to if nothing_left else None
            return Gathered(Telemetry.empty(), self._complaints, until)
        found = gathered(
            {key: each for key, each in self._tallies.items() if key[1] == ts},
            cadence_seconds=self._cadence,
            errors=self._errors,
            now=now,
            draw=self._draw,
        )
        complaints = add_up([*self._complaints, *found.complaints])
        return Gathered(found.telemetry, complaints, ts + self._cadence, found.events)

    def stored(self, until: int, now: float) -> str | None:
        """Let go of what only stored intervals needed.

        Gives the last entry of the stream that will not be needed again, with all before it.
        """
        if until > self.finished_to:
            self.finished_to, self._finished_at_ms = until, now * 1000
        self._complaints = ()
        self._tallies = {key: each for key, each in self._tallies.items() if key[1] >= until}
        self._ends = {ts: end for ts, end in self._ends.items() if ts >= until}
        done = None
        for each in self._done():
            done = each.id
            self._entries.popleft()
        held = {each.identity for each in self._entries}
        self._identities &= held
        return done

    def _done(self) -> list[_Held]:
        """Give the entries at the head of the stream that no interval needs any more."""
        found = []
        for each in self._entries:
            if each.newest >= self.finished_to:
                break
            found.append(each)
        return found

    def _add(self, line: LineRead, received_ms: int, faults: Faults) -> int:
        """Add a line up; gives its interval, or -1 where it counts nowhere."""
        ts = int(line.time // self._cadence) * self._cadence
        if ts < self.finished_to:
            if received_ms > self._finished_at_ms:
                faults.add("late", 1, f"a line of {line.entity!r} at {line.time:.0f}")
            return -1
        if received_ms / 1000 > self._ends.setdefault(ts, self._end(ts, received_ms / 1000)):
            faults.add("late", 1, f"a line of {line.entity!r} at {line.time:.0f}")
            return -1
        tally = self._tallies.get((line.entity, ts))
        if tally is None:
            if len(self._tallies) >= MOST_TALLIES:
                faults.add("schema", 1, f"{line.entity!r} is one entity too many")
                return -1
            tally = self._tallies[line.entity, ts] = Tally()
        tally.add(line)
        return ts

    def _end(self, ts: int, received: float) -> float:
        in_time = ts + self._cadence + self._lateness
        return in_time if received <= in_time else received + CATCH_UP_SECONDS
