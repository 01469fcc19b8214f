"""What both kinds of stream share: asks of any kind, in an order that keeps a batch's bits.

Rows of different streams go through a detector in one call. Rows of one stream follow each other:
the first of each stream make one wave, the second ones the next, so that each is answered with the
state that it left.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar
from zlib import crc32

from deployments.batch import Refusal
from deployments.keyed.keeper import Asked, Reply
from deployments.streams.order import book, take
from deployments.streams.purse import Purse
from deployments.streams.record import Observed, Record, pack, unpack
from models.errors import ArtifactError

log = logging.getLogger(__name__)

Answers = TypeVar("Answers")

# The event that ends a stream; its next observation begins it anew.
DELETED: list[Any] = []


@dataclass(slots=True)
class Stream:
    """One stream in memory; without a slot while nothing was observed."""

    name: str
    record: Record = field(default_factory=Record)
    slot: int | None = None
    # The latest event and what the detectors said of it: for who asks again after a death.
    last: tuple[Observed, Any] | None = None

    @property
    def seed(self) -> int:
        """What is random in a stream follows from its name, on any replica."""
        return crc32(self.name.encode())


class StreamKeeper(Generic[Answers]):
    """A subclass knows the detectors; see deployments/keyed/keeper.py for what a keeper owes."""

    kind: str
    columns: tuple[str, ...]

    def __init__(self, purse: Purse, clock: Callable[[], float]) -> None:
        self._purse = purse
        self._clock = clock

    @abstractmethod
    def begin(self, stream: Stream, seen: Observed) -> None:
        """Open the stream's slot for its first observations."""

    @abstractmethod
    def advance(self, rows: Sequence[tuple[Stream, Observed]]) -> list[Answers]:
        """Let the detectors take the observations of different streams; none of them is empty."""

    @abstractmethod
    def alarms(self, answers: Answers, seen: Observed) -> list[dict[str, Any]]:
        """Name the alarms among a row's observations."""

    @abstractmethod
    def latest(self, answers: Answers) -> dict[str, Any]:
        """Keep what a later reply says of the stream's present state, as JSON."""

    @abstractmethod
    def reply(self, stream: Stream, answers: Answers | None, taken: dict[str, int]) -> Reply:
        """Say a row's answer; of the present state where nothing was taken."""

    @abstractmethod
    def look(self, stream: Stream, ask: dict[str, Any]) -> dict[str, Any]:
        """Answer what only this kind of stream can be asked, changing nothing."""

    @abstractmethod
    def unfit(self, stream: Stream, ask: dict[str, Any]) -> Refusal | None:
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
            log.warning("Stream %s keeps its record, its detector begins anew: %s", key, unfit)
            return Stream(key, record)

    def release(self, state: Stream) -> None:
        if state.slot is not None:
            self.free(state.record, state.slot)
            state.slot = None

    def replay(self, tails: Sequence[tuple[Stream, list[Any]]]) -> None:
        """Go through the logs side by side: the first event of each, then the second."""
        longest = max(len(events) for _, events in tails)
        for at in range(longest):
            due = [(stream, events[at]) for stream, events in tails if at < len(events)]
            for stream in (stream for stream, event in due if event == DELETED):
                self.release(stream)
                stream.record, stream.last = Record(), None
            self._apply([(s, Observed.of(event)) for s, event in due if event != DELETED])

    def answer(self, rows: Sequence[tuple[Stream, Asked]]) -> list[Reply]:
        replies: list[Reply | None] = [None] * len(rows)
        now = self._clock()
        share = self._purse.share(sum(len(asked.ask.get("v", ())) for _, asked in rows), now)
        for wave in _waves(rows):
            observed: list[tuple[int, Stream, Observed]] = []
            for at in wave:
                stream, asked = rows[at]
                if asked.ask["op"] == "observe" and not (why := self.unfit(stream, asked.ask)):
                    observed.append((at, stream, self._observed(stream, asked, share, now)))
                elif asked.ask["op"] == "observe":
                    replies[at] = Reply(refusal=why)
                else:
                    replies[at] = self._look(stream, asked)
            self._answer(observed, {at: rows[at][1].ask for at in wave}, replies)
        return [reply if reply is not None else Reply() for reply in replies]

    def removal(self, asked: Asked) -> Reply | None:
        if asked.ask["op"] != "delete":
            return None
        return Reply(detail={"data": {"deleted": asked.key}}, event=DELETED, deletes=True)

    def again(self, state: Stream, asked: Asked) -> Reply:
        """Say it again to the bit; of what lies further back, where the stream stands now."""
        if state.last is not None and state.last[0].id == asked.id:
            seen, answers = state.last
            return self.reply(state, answers, _counts(seen))
        taken = {"taken": 0, "duplicates": len(asked.ask.get("v", ())), "late": 0}
        return self.reply(state, None, taken)

    def unavailable(self, _: Asked) -> Refusal | None:
        return {
            "code": "unavailable",
            "message": "The streams' log is away, and nothing was taken: send it again",
        }

    def _observed(self, stream: Stream, asked: Asked, share: float, now: float) -> Observed:
        taken = take(stream.record, asked.ask, now)
        choice = asked.ask.get("c")
        return Observed(*taken, share=share, now=now, choice=choice, id=asked.id)

    def _answer(
        self,
        rows: Sequence[tuple[int, Stream, Observed]],
        rows_asked: Mapping[int, dict[str, Any]],
        replies: list[Reply | None],
    ) -> None:
        answers = self._apply([(stream, seen) for _, stream, seen in rows])
        for (at, stream, seen), (found, alarms) in zip(rows, answers, strict=True):
            said = found if seen.values else _said_before(stream, seen, rows_asked[at])
            reply = self.reply(stream, said, _counts(seen))
            reply.event = seen.event()
            named = {"kind": self.kind, "stream": stream.name}
            reply.notices = [named | alarm for alarm in alarms]
            replies[at] = reply

    def _apply(
        self, rows: Sequence[tuple[Stream, Observed]]
    ) -> list[tuple[Answers | None, list[dict[str, Any]]]]:
        """Advance detectors and records by events; the one way by which a stream changes."""
        some = [(stream, seen) for stream, seen in rows if seen.values]
        for stream, seen in some:
            if stream.slot is None:
                self.begin(stream, seen)
        found = iter(self.advance(some) if some else ())
        results: list[tuple[Answers | None, list[dict[str, Any]]]] = []
        for stream, seen in rows:
            answers = next(found) if seen.values else None
            alarms = self.alarms(answers, seen) if answers is not None else []
            if answers is not None:
                stream.record.latest = self.latest(answers)
            for alarm in alarms:
                stream.record.alarmed(alarm)
            book(stream.record, seen)
            if answers is not None:
                stream.last = (seen, answers)
            results.append((answers, alarms))
        return results

    def _look(self, stream: Stream, asked: Asked) -> Reply:
        ask = asked.ask
        if stream.record.updated == 0:
            return Reply(
                refusal={"code": "not_found", "message": f"There is no stream {stream.name}"}
            )
        if removal := self.removal(asked):
            return removal
        if ask["op"] == "show":
            shown = asdict(stream.record) | self.look(stream, ask)
            return Reply(detail={"data": {self.kind: shown}})
        return Reply(detail={"data": self.look(stream, ask)})


def _said_before(stream: Stream, seen: Observed, ask: dict[str, Any]) -> Any:
    """Give what was said of a body that its client sends again for want of the answer."""
    if stream.last is None or "s" not in ask:
        return None
    last, answers = stream.last
    n = len(ask["v"])
    same = seen.duplicates == n == len(last.values) and ask["s"] + n - 1 == last.sequence
    return answers if same else None


def _counts(seen: Observed) -> dict[str, int]:
    return {"taken": len(seen.values), "duplicates": seen.duplicates, "late": seen.late}


def _waves(rows: Sequence[tuple[Stream, Asked]]) -> list[list[int]]:
    waves: list[list[int]] = []
    depth: dict[str, int] = {}
    for at, (stream, _) in enumerate(rows):
        wave = depth.get(stream.name, 0)
        depth[stream.name] = wave + 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(at)
    return waves
