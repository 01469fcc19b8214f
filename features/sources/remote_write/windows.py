"""Turns samples that a Prometheus writes into telemetry, one interval after the other.

An interval is finished once a sample from after its end has come, and everybody had some seconds
since to send theirs. So an interval that an outage cut off waits for what is sent after it, as a
Prometheus keeps what it could not send for about two hours.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.sources.checks import RawRows, checked
from features.sources.remote_write.deploys import deploys, needed_seconds
from features.sources.remote_write.editions import Edition
from features.sources.remote_write.evaluation import Evaluation
from features.sources.remote_write.log import Columns, SampleLog
from features.sources.remote_write.registry import Registry
from features.sources.remote_write.samples import Samples
from features.sources.remote_write.stream import Arrived
from features.sources.remote_write.vectors import Vector
from features.sources.rules import Mapping
from features.sources.source import Complaint, Faults, Gathered, add_up
from features.telemetry.columns import Bools, Ints, Telemetry

# From the first sample after an interval to its evaluation: a sender waits up to 5 s for a batch
# to fill, and its shards do not send at the same time.
LATENESS_SECONDS = 10.0
# An interval after which nothing came is evaluated as it is by then.
PATIENCE_SECONDS = 7200.0
# Clocks differ.
_AHEAD_MS = 60_000
_BEHIND_MS = 10_800_000
# A catching-up sender fills many at once; each call has its end.
_MOST_AT_ONCE = 10
# Series that ended are forgotten when they are more than the others and these.
_FEW = 1000


class _Progress(NamedTuple):
    """Up to which time samples had come, and since when."""

    newest_ms: int
    received_ms: int


class _Entry(NamedTuple):
    """An entry of the stream, and the newest sample in it."""

    id: str
    newest_ms: int


class Windows:
    """The samples of one source that may still count, and the intervals that they make.

    `finished_to` is all that must be remembered elsewhere, for the samples come again: an entry of
    the stream is let go of only when the intervals that it is part of are stored.
    """

    def __init__(
        self,
        mapping: Mapping,
        cadence_seconds: int,
        *,
        edition: Edition,
        finished_to: int = 0,
    ) -> None:
        self.finished_to = finished_to
        self._mapping = mapping
        self.cadence_seconds = cadence_seconds
        self._edition = edition
        self._registry = Registry(mapping)
        self._log = SampleLog()
        # Of processes' start times, which count for longer than other samples.
        self._starts = SampleLog()
        self._entries: deque[_Entry] = deque()
        self._progress: list[_Progress] = []
        self._ends: set[int] = set()
        self._faults = Faults()
        # What came before this process did is no news, however old it is.
        self._finished_at_ms: float = np.inf

    def take(self, arrived: Sequence[Arrived]) -> None:
        """Take entries of the stream in, in the stream's order."""
        for each in arrived:
            self.add(each.id, each.samples, each.received_ms)

    def add(self, entry_id: str, samples: Samples, received_ms: int) -> None:
        """Take an entry of the stream in; entries come in the stream's order."""
        rows = self._registry.rows(samples.series)[samples.rows]
        times = samples.times
        in_time = (times <= received_ms + _AHEAD_MS) & (times >= received_ms - _BEHIND_MS)
        self._complain(samples, in_time, received_ms)
        found = Columns(rows.astype(np.int32), times, samples.values).at((rows >= 0) & in_time)
        newest = int(found.times.max(initial=-1))
        self._entries.append(_Entry(entry_id, newest))
        if self._mapping.deploys is not None:
            starts = np.isin(found.rows, self._registry.select(self._mapping.deploys).rows)
            self._starts.append(found.at(starts & (found.times >= self._starts_from_ms())))
        found = found.at(found.times >= self.finished_to * 1000)
        if len(found.times):
            self._log.append(found)
            self._note(found, newest, received_ms)

    def finished(self, now: float) -> Gathered:
        """Give the intervals that are over and not stored yet; `until` says up to where.

        Until `stored` is called they are given again.
        """
        ends = self._finished_ends(now)
        if not ends:
            return Gathered(Telemetry.empty(), self._faults.complaints())
        parts = [self._evaluated(end, now) for end in ends]
        complaints = (*self._faults.complaints(), *(c for part in parts for c in part.complaints))
        telemetry = Telemetry.concat(part.telemetry for part in parts)
        return Gathered(telemetry, add_up(complaints), until=ends[-1])

    def stored(self, until: int, now: float) -> str | None:
        """Let go of what only stored intervals needed.

        Gives the last entry of the stream that will not be needed again, with all before it.
        """
        self.finished_to = until
        self._finished_at_ms = now * 1000
        self._faults = Faults()
        self._registry.refused = 0
        self._log.conflicts = 0
        self._ends = {end for end in self._ends if end > until}
        self._progress = [each for each in self._progress if each.newest_ms >= until * 1000]
        self._log.forget(until * 1000)
        self._starts.forget(self._starts_from_ms())
        self._forget_series()
        return self._done_up_to()

    def _complain(self, samples: Samples, in_time: Bools, received_ms: int) -> None:
        times = samples.times

        def example(row: int) -> str:
            series = samples.series[samples.rows[row]]
            late_ms = received_ms - int(times[row])
            return f"{series.name} of {dict(series.labels)} came {late_ms / 1000:.1f} s after"

        self._faults.add_where("clock skew", ~in_time, example)
        if received_ms > self._finished_at_ms:
            self._faults.add_where("gap", times <= self.finished_to * 1000, example)

    def _note(self, kept: Columns, newest: int, received_ms: int) -> None:
        cadence_ms = self.cadence_seconds * 1000
        ends = np.unique(-(-kept.times // cadence_ms)) * self.cadence_seconds
        self._ends.update(end for end in ends.tolist() if end > self.finished_to)
        if not self._progress or newest > self._progress[-1].newest_ms:
            self._progress.append(_Progress(newest, received_ms))

    def _finished_ends(self, now: float) -> list[int]:
        found: list[int] = []
        for end in sorted(self._ends):
            if not self._is_over(end, now) or len(found) == _MOST_AT_ONCE:
                break
            found.append(end)
        return found

    def _is_over(self, end: int, now: float) -> bool:
        place = bisect_left(self._progress, end * 1000, key=lambda each: each.newest_ms)
        if place == len(self._progress):
            return now >= end + PATIENCE_SECONDS
        passed = self._progress[place].received_ms / 1000
        return now >= max(passed, end) + LATENESS_SECONDS

    def _evaluated(self, end: int, now: float) -> Gathered:
        found = Evaluation(
            self._registry, self._log.sorted(), end, self.cadence_seconds, self._edition
        )
        metrics = {name: found.rule(rule) for name, rule in self._mapping.metrics.items()}
        began = self._deploys(end)
        there = began.copy()
        for vector in metrics.values():
            there |= vector.there
        which = np.flatnonzero(there)
        names = self._registry.entities
        rows = RawRows(
            entity=[names[number] for number in which.tolist()],
            ts=[end - self.cadence_seconds] * len(which),
            metrics={name: _column(vector, which) for name, vector in metrics.items()},
            deploy=began[which].tolist(),
        )
        gathered = checked(rows, now=now, cadence_seconds=self.cadence_seconds)
        return Gathered(gathered.telemetry, (*gathered.complaints, *self._of_interval(found, end)))

    def _of_interval(self, found: Evaluation, end: int) -> list[Complaint]:
        faults = Faults()
        faults.add("counter reset", found.resets(self._mapping), f"in the interval up to {end}")
        faults.add("duplicate", self._log.conflicts, "two values of one series and time")
        faults.add("schema", self._registry.refused, self._registry.why_refused)
        self._log.conflicts = self._registry.refused = 0
        return list(faults.complaints())

    def _deploys(self, end: int) -> Bools:
        samples = self._starts.sorted()
        return deploys(
            self._registry, self._mapping, samples, end, self.cadence_seconds, self._edition
        )

    def _starts_from_ms(self) -> int:
        return (self.finished_to - needed_seconds(self.cadence_seconds)) * 1000

    def _forget_series(self) -> None:
        """Forget series that ended, when they are many."""
        live = np.union1d(self._log.sorted().rows, self._starts.sorted().rows).astype(np.int64)
        if len(self._registry) > 2 * len(live) + _FEW:
            numbers = self._registry.keep(live)
            self._log.renumber(numbers)
            self._starts.renumber(numbers)

    def _done_up_to(self) -> str | None:
        done = None
        # For a deploy the interval before counts, too.
        back = 0 if self._mapping.deploys is None else self.cadence_seconds
        while self._entries and self._entries[0].newest_ms < (self.finished_to - back) * 1000:
            done = self._entries.popleft().id
        return done


def _column(vector: Vector, which: Ints) -> list[float | None]:
    there, values = vector.there[which].tolist(), vector.values[which].tolist()
    return [value if known else None for known, value in zip(there, values, strict=True)]
