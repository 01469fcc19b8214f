"""What all kinds of stream share: asks of any kind, in an order that keeps a batch's bits.

Rows go through a detector in waves (waves.py), one call each.
"""

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Generic, NamedTuple, TypeVar

from config_store.document import StreamsConfig
from deployments.anomaly.alarm_budget import Budget
from deployments.anomaly.operations import Choice, JudgeDeploy, Look, Observe, Value
from deployments.anomaly.order import Position, book, take
from deployments.anomaly.record import Event, Observed, Record, pack, unpack
from deployments.anomaly.stream import DELETED, Stream, lives_in, repeated_answers
from deployments.anomaly.waves import count_observations, next_wave
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply, StateRequest
from deployments.runtime.state.operations import Show
from models.errors import ArtifactError

log = logging.getLogger(__name__)

Answers = TypeVar("Answers")

# A stream's record, and what each value of its last body takes, with what was said of it.
RECORD_BYTES, ANSWER_BYTES = 1_500, 250
ALL_LATE: Refusal = {
    "code": "conflict",
    "message": (
        "The stream has no observations yet, and every observation of this body is late: send "
        "later ones"
    ),
}


class _Row(NamedTuple, Generic[Value, Choice]):
    """A row that observes: its position in the batch, what it says, and what of that is taken."""

    at: int
    stream: Stream
    ask: Observe[Value, Choice]
    seen: Observed[Value, Choice]


class StreamHandler(Generic[Value, Choice, Answers]):
    """A subclass knows the detectors; deployments/runtime/state/handler.py says what is owed."""

    kind: str
    columns: tuple[str, ...]

    def __init__(self, alarm_budget: Budget, clock: Callable[[], float]) -> None:
        self._alarm_budget = alarm_budget
        self._clock = clock

    @abstractmethod
    def begin(self, stream: Stream, seen: Observed[Value, Choice]) -> None:
        """Open the stream's slot for its first observations."""

    @abstractmethod
    def most_together(self, stream: Stream) -> int:
        """Say how many observations the detector may take before the first of them is answered.

        Where several rows of a stream have more than that, a wave takes fewer of them.
        """

    def remember(self, streams: Sequence[Stream]) -> None:
        """Note what answers need of these as they are, before several rows of each are taken."""

    @abstractmethod
    def advance(self, rows: Sequence[tuple[Stream, Observed[Value, Choice]]]) -> list[Answers]:
        """Let the detectors take the observations of each row, in order; none of them is empty."""

    @abstractmethod
    def alarms(self, answers: Answers, seen: Observed[Value, Choice]) -> list[dict[str, Any]]:
        """Name the alarms among a row's observations."""

    @abstractmethod
    def latest(self, answers: Answers) -> dict[str, Any]:
        """Keep what a later reply says of the stream's present state, as JSON."""

    @abstractmethod
    def reply(self, stream: Stream, answers: Answers | None, taken: dict[str, int]) -> Reply[Event]:
        """Say a row's answer; of the present state where nothing was taken."""

    @abstractmethod
    def look(self, stream: Stream, ask: Show | JudgeDeploy) -> dict[str, Any]:
        """Answer what only this kind of stream can be asked, changing nothing."""

    @abstractmethod
    def unfit(self, stream: Stream, ask: Observe[Value, Choice]) -> Refusal | None:
        """Say why a body does not fit its stream."""

    @abstractmethod
    def write_detector(self, record: Record, slot: int) -> bytes: ...

    @abstractmethod
    def read_detector(self, record: Record, saved: bytes) -> int: ...

    @abstractmethod
    def free(self, record: Record, slot: int) -> None: ...

    def fresh(self, key: str) -> Stream:
        return Stream(key)

    def encode(self, state: Stream) -> bytes:
        slot = state.slot
        detector = b"" if slot is None else self.write_detector(state.record, slot)
        return pack(state.record, detector)

    def decode(self, key: str, saved: bytes) -> Stream:
        """Take a stream up; a detector kept by a release with other settings begins anew."""
        record, detector = unpack(saved)
        try:
            return Stream(key, record, self.read_detector(record, detector) if detector else None)
        except ArtifactError as unfit:
            log.warning("Stream %s keeps its record, but its detector starts again: %s", key, unfit)
            return Stream(key, record)

    @abstractmethod
    def detector_bytes(self, stream: Stream) -> int:
        """Say how much memory a stream's detector takes, or will with its first observations."""

    def size(self, state: Stream) -> int:
        last = 0 if state.last is None else len(state.last[0].values)
        return RECORD_BYTES + last * ANSWER_BYTES + self.detector_bytes(state)

    def give_back(self) -> None:
        """Leave it to detectors that are objects of their own."""

    def release(self, state: Stream) -> None:
        if state.slot is not None:
            self.free(state.record, state.slot)
            state.slot = None

    def replay(self, tails: Sequence[tuple[Stream, list[Event]]]) -> None:
        """Go through the logs side by side, each up to its next deletion."""
        left = [(stream, lives_in(events)) for stream, events in tails]
        while left:
            due = [(stream, lives.pop(0)) for stream, lives in left]
            self._apply([(stream, seen) for stream, life in due for seen in life])
            left = [(stream, lives) for stream, lives in left if lives]
            for stream, _ in left:
                self.release(stream)
                stream.record, stream.last = Record(), None

    def answer(
        self, rows: Sequence[tuple[Stream, StateRequest[Observe[Value, Choice] | Look]]]
    ) -> list[Reply[Event]]:
        replies: list[Reply[Event] | None] = [None] * len(rows)
        now = self._clock()
        observations = sum(count_observations(request.ask) or 0 for _, request in rows)
        # They came in one batch, and have one version.
        settings: StreamsConfig = rows[0][1].settings
        share = self._alarm_budget.share(observations, now, settings.alarms_per_day)
        left = list(range(len(rows)))
        while left:
            wave, left = next_wave(rows, left, self.most_together)
            positions: dict[str, Position] = {}
            observed: list[_Row[Value, Choice]] = []
            for at in wave:
                stream, request = rows[at]
                ask = request.ask
                if ask["op"] != "observe":
                    replies[at] = self._look(stream, request.key, ask)
                elif why := self.unfit(stream, ask):
                    replies[at] = Reply(refusal=why)
                else:
                    seen = self._observed(positions, stream, ask, request.id, share, now)
                    observed.append(_Row(at, stream, ask, seen))
            self._answer(observed, replies)
        return [reply if reply is not None else Reply() for reply in replies]

    def removal(self, request: StateRequest[Observe[Value, Choice] | Look]) -> Reply[Event] | None:
        return _deleted(request.key) if request.ask["op"] == "delete" else None

    def repeat_reply(
        self, state: Stream, request: StateRequest[Observe[Value, Choice] | Look]
    ) -> Reply[Event]:
        """Say it again to the bit; of what lies further back, where the stream stands now."""
        if state.last is not None and state.last[0].id == request.id:
            seen, answers = state.last
            return self.reply(state, answers, _counts(seen))
        taken = {"taken": 0, "duplicates": count_observations(request.ask) or 0, "late": 0}
        return self.reply(state, None, taken)

    def withdraw(self, state: Stream, request: StateRequest[Observe[Value, Choice] | Look]) -> None:
        """Let it stand: sent again with its sequence, it is passed over."""

    def unavailable(self, _: StateRequest[Observe[Value, Choice] | Look]) -> Refusal | None:
        return {
            "code": "unavailable",
            "message": (
                "The streams' log in Redis cannot be reached, and nothing was accepted: send "
                "it again"
            ),
        }

    def _observed(
        self,
        positions: dict[str, Position],
        stream: Stream,
        ask: Observe[Value, Choice],
        decision_id: str,
        share: float,
        now: float,
    ) -> Observed[Value, Choice]:
        """Choose what of a row is taken, after those before it in its wave."""
        position = positions.get(stream.name, Position(stream.record.sequence, stream.record.ts))
        taken = take(position, ask, now)
        positions[stream.name] = Position(taken.sequence, taken.ts)
        choice = ask.get("choice")
        return Observed(*taken, share=share, now=now, choice=choice, id=decision_id)

    def _answer(
        self, observed: Sequence[_Row[Value, Choice]], replies: list[Reply[Event] | None]
    ) -> None:
        sizes = Counter(row.stream.name for row in observed)
        several = {row.stream.name: row.stream for row in observed if sizes[row.stream.name] > 1}
        self.remember(list(several.values()))

        def reply(which: int, answers: Answers | None, alarms: list[dict[str, Any]]) -> None:
            at, stream, ask, seen = observed[which]
            said = answers if seen.values else repeated_answers(stream, seen, ask)
            found = replies[at] = self.reply(stream, said, _counts(seen))
            found.event = seen.event()
            named = {"kind": self.kind, "stream": stream.name}
            found.notices = [named | alarm for alarm in alarms]

        self._apply([(row.stream, row.seen) for row in observed], reply)
        self.remember(())

    def _apply(
        self,
        rows: Sequence[tuple[Stream, Observed[Value, Choice]]],
        then: Callable[[int, Answers | None, list[dict[str, Any]]], None] | None = None,
    ) -> None:
        """Advance detectors and records by events; the one way by which a stream changes.

        After each row `then` is called with what was said of it, when the record is as of this row.
        """
        some = [(stream, seen) for stream, seen in rows if seen.values]
        for stream, seen in some:
            if stream.slot is None:
                self.begin(stream, seen)
        found = iter(self.advance(some) if some else ())
        for at, (stream, seen) in enumerate(rows):
            answers = next(found) if seen.values else None
            alarms = self.alarms(answers, seen) if answers is not None else []
            if answers is not None:
                stream.record.latest = self.latest(answers)
            for alarm in alarms:
                stream.record.alarmed(alarm)
            book(stream.record, seen)
            if then is not None:
                then(at, answers, alarms)
            if answers is not None:
                stream.last = (seen, answers)

    def _look(self, stream: Stream, key: str, ask: Look) -> Reply[Event]:
        if stream.record.updated == 0:
            return Reply(
                refusal={"code": "not_found", "message": f"There is no stream {stream.name}"}
            )
        if ask["op"] == "delete":
            return _deleted(key)
        if ask["op"] == "show":
            shown = asdict(stream.record) | self.look(stream, ask)
            return Reply(detail={"data": {self.kind: shown}})
        return Reply(detail={"data": self.look(stream, ask)})


def _deleted(key: str) -> Reply[Event]:
    return Reply(detail={"data": {"deleted": key}}, event=DELETED, deletes=True)


def _counts(seen: Observed[Value, Choice]) -> dict[str, int]:
    return {"taken": len(seen.values), "duplicates": seen.duplicates, "late": seen.late}
