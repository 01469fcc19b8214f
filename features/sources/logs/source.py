"""Logs as a source that is asked: lines are read and added up, finished intervals are given.

An interval is finished by the clock: when it is over, and the time in which a line may still be
written is over too. Whoever asks for intervals from a time on has kept those before it; so far the
files need not be read again after a restart, and what is read again is counted once.
"""

import asyncio
import threading
from collections.abc import Callable

from features.errors import SourceAwayError, SourceRefusedError
from features.sources.logs.config import LogRules
from features.sources.logs.content import Content
from features.sources.logs.follow import Follower, Positions
from features.sources.logs.intervals import Draw, Key, Tally, draw_by_name, gathered
from features.sources.logs.patterns import LineRead, LineReader, UnreadLine
from features.sources.logs.positions import KeptPositions
from features.sources.source import Faults, Gathered, add_up

# What was there before the source was connected can be asked for so long.
PAST_SECONDS = 600.0
# A field that names each request by itself names no entities.
MOST_TALLIES = 100_000
DAY, MEGABYTE = 86_400, 2**20


class LogSource:
    """The files of one source. Call by call, not at once."""

    def __init__(
        self,
        name: str,
        rules: LogRules,
        kept: KeptPositions,
        wall: Callable[[], float],
        *,
        cadence_seconds: int,
        lateness_seconds: int,
        history_days: int,
        past_mb: int,
        draw: Draw = draw_by_name,
    ) -> None:
        self._name = name
        self._rules = rules
        self._kept = kept
        self._wall = wall
        self._cadence = cadence_seconds
        self._lateness = lateness_seconds
        self._history_seconds = history_days * DAY
        self._past_bytes = past_mb * MEGABYTE
        self._draw = draw
        self._reader = LineReader(rules)
        self._errors = any(each.kind == "error" for each in rules.patterns)
        self._follower: Follower | None = None
        self._reading = threading.Lock()
        self._faults = Faults()
        self._tallies: dict[Key, Tally] = {}
        # What was there before, until when it can be asked for, and from where on it is complete.
        self._past: dict[Key, Tally] = {}
        self._past_ends: float | None = None
        self._complete_from = 0
        self._floor: int | None = None
        self._closed: int | None = None
        self._now = 0.0

    @property
    def cadence_seconds(self) -> int:
        return self._cadence

    @property
    def settling_seconds(self) -> float:
        """Give none: lines are read as they come, whenever their interval is finished."""
        return 0.0

    async def range(self, start: int, stop: int) -> Gathered:
        """Give the intervals in [start, stop) that are finished.

        One that begins no earlier than any before it says that what lies in front of it is kept.
        """
        await self._open()
        found, positions = await asyncio.to_thread(self._range, start, stop)
        if positions is not None:
            await self._kept.save(positions)
        return found

    async def oldest(self) -> int | None:
        """Tell how far back the lines go; before the first call of `range` nothing is read."""
        await self._open()
        return await asyncio.to_thread(self._oldest)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _open(self) -> None:
        if self._follower is None:
            positions = await self._kept.load()
            self._follower = await asyncio.to_thread(
                Follower, self._rules.paths, most_of_past=self._past_bytes, positions=positions
            )
            if positions is None:
                self._past_ends = self._wall() + PAST_SECONDS

    def _range(self, start: int, stop: int) -> tuple[Gathered, Positions | None]:
        with self._reading:
            follower = self._followed()
            forward = self._floor is None or start >= self._floor
            if forward:
                self._keep_from(start)
            self._poll()
            closed = self._closed or 0
            found = self._gathered(start, min(stop, closed))
            saved = follower.positions() if forward and self._past_ends is None else None
            until = max(closed, start) if closed < stop else None
            return Gathered(found.telemetry, found.complaints, until, found.events), saved

    def _oldest(self) -> int | None:
        with self._reading:
            there = (ts for _, ts in (*self._past, *self._tallies) if ts >= self._complete_from)
            return min(there, default=None)

    def _close(self) -> None:
        with self._reading:
            if self._follower is not None:
                self._follower.close()

    def _followed(self) -> Follower:
        if self._follower is None:
            raise RuntimeError("the logs are read before they are opened")
        return self._follower

    def _keep_from(self, start: int) -> None:
        self._floor = start
        if self._past_ends is not None:  # what is not kept yet may still be asked for
            self._past |= {key: each for key, each in self._tallies.items() if key[1] < start}
        self._tallies = {key: each for key, each in self._tallies.items() if key[1] >= start}
        self._followed().forget_before(start)

    def _poll(self) -> None:
        follower, now = self._followed(), self._wall()
        self._now = now
        if self._past_ends is not None and now > self._past_ends:
            self._past, self._past_ends = {}, None
        try:
            follower.poll(self._take, now)
        except ValueError as error:
            raise SourceRefusedError(self._name, str(error)) from error
        self._complain_of_files(follower)
        self._closed = int((now - self._lateness) // self._cadence) * self._cadence

    def _complain_of_files(self, follower: Follower) -> None:
        if follower.unreadable and not follower.files:
            raise SourceRefusedError(
                self._name, f"{follower.unreadable[0]} may not be read by the platform's user"
            )
        if not follower.found and not follower.files:
            raise SourceAwayError(self._name, f"no file lies under {', '.join(self._rules.paths)}")
        for path in follower.unreadable:
            self._faults.add("schema", 1, f"{path} may not be read by the platform's user")
        self._faults.add("schema", follower.too_long(), "the line is longer than 256 KiB")

    def _take(self, content: Content, offset: int, line: bytes) -> int | None:
        """Add a line up; gives its interval where the line may have to be read again."""
        if not line.strip():
            return None
        read = self._reader.read(line)
        if isinstance(read, UnreadLine):
            if offset >= content.read_before:
                self._faults.add(read.fault, 1, read.example)
            return None
        ts = int(read.time // self._cadence) * self._cadence
        if content.cut:  # the lines in front of it are not read, and may be of its interval
            self._complete_from = max(self._complete_from, ts + self._cadence)
            content.cut = False
        return self._add(read, ts, again=offset < content.read_before)

    def _add(self, read: LineRead, ts: int, *, again: bool) -> int | None:
        if ts > self._now + self._cadence:
            if not again:
                self._faults.add(
                    "clock skew", 1, f"a line of {read.entity!r} is at {read.time:.0f}"
                )
            return None
        if self._floor is None or ts < self._floor or ts < (self._closed or 0):
            self._add_to_past(read, ts, again=again)
            return None
        self._tally(self._tallies, read, ts)
        return ts

    def _add_to_past(self, read: LineRead, ts: int, *, again: bool) -> None:
        """Add up what was there before the first call; what came since came late."""
        if self._closed is not None:
            if not again:
                self._faults.add("late", 1, f"a line of {read.entity!r} at {read.time:.0f}")
        elif self._past_ends is not None and ts >= self._now - self._history_seconds:
            self._tally(self._past, read, ts)

    def _tally(self, tallies: dict[Key, Tally], read: LineRead, ts: int) -> None:
        tally = tallies.get((read.entity, ts))
        if tally is None:
            if len(tallies) >= MOST_TALLIES:
                self._faults.add("schema", 1, f"{read.entity!r} is one entity too many")
                return
            tally = tallies[read.entity, ts] = Tally()
        tally.add(read)

    def _gathered(self, start: int, stop: int) -> Gathered:
        start = max(start, self._complete_from)
        asked = {
            key: each
            for tallies in (self._past, self._tallies)
            for key, each in tallies.items()
            if start <= key[1] < stop
        }
        found = gathered(
            asked,
            cadence_seconds=self._cadence,
            errors=self._errors,
            now=self._now,
            draw=self._draw,
        )
        complaints = add_up([*self._faults.complaints(), *found.complaints])
        self._faults = Faults()
        return Gathered(found.telemetry, complaints, None, found.events)
