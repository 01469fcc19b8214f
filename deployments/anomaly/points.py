"""Anomalies in streams of vectors: each point's score, how rare it is, and what it comes from."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.anomaly.alarm_budget import Budget
from deployments.anomaly.handler import ALL_LATE, StreamHandler
from deployments.anomaly.operations import JudgeDeploy, ObservePoints, PointChoice
from deployments.anomaly.record import Event, Observed, Record
from deployments.anomaly.stream import Stream
from deployments.api.anomaly import FLEET, MOST_DIMENSIONS, USUAL_DETECTOR
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply
from deployments.runtime.state.operations import Show
from models.anomaly.fleet import FleetLayout, by_member
from models.anomaly.streams import AnomalyStreams
from models.anomaly.watch import AnomalyAnswers

MOST_STREAMS = 2_000
"""In memory on one replica, .4 to 1 MB each; those idle longest leave first."""
MOST_TOGETHER = 100_000
"""Points that a detector takes in one call; what it says of each is in its answers."""
_Z = 1.6448536269514722  # of a 90 % interval
# A p-value is a rank among at most so many scores (models/anomaly/alarms.py).
_RANKED = 1536

Points = Observed[list[float], PointChoice]


@dataclass(frozen=True)
class PointAnswers(AnomalyAnswers):
    """A stream's own rows; of a fleet if it has members."""

    members: int

    def at_fault(self) -> list[int | None]:
        """Name each row's member of the largest score; None where no member has any."""
        if not self.members:
            return [None] * len(self.score)
        largest = by_member(self.attribution, self.members).argmax(axis=1)
        scored = zip(largest.tolist(), self.score.tolist(), strict=True)
        return [member if score > 0 else None for member, score in scored]


Like = tuple[str, int, int, tuple[float, ...]]
"""What streams of one bank have in common: the detector, the dimensions and, of a fleet, who."""


class PointHandler(StreamHandler[list[float], PointChoice, PointAnswers]):
    """One bank for all streams that are alike."""

    kind = "anomaly"
    columns = ("score", "p_value", "lower", "upper")

    def __init__(self, alarm_budget: Budget, clock: Callable[[], float]) -> None:
        super().__init__(alarm_budget, clock)
        self._banks: dict[Like, AnomalyStreams] = {}

    def most_together(self, stream: Stream) -> int:  # noqa: ARG002 - same for all
        return MOST_TOGETHER

    def begin(self, stream: Stream, seen: Points) -> None:
        if not stream.record.observations:
            _choose(stream.record, seen)
        stream.slot = self._bank(stream.record).open(stream.seed)

    def advance(self, rows: Sequence[tuple[Stream, Points]]) -> list[PointAnswers]:
        found: list[PointAnswers | None] = [None] * len(rows)
        banks: dict[Like, list[int]] = {}
        for at, (stream, _) in enumerate(rows):
            banks.setdefault(_like(stream.record), []).append(at)
        for which, places in banks.items():
            own = [rows[at] for at in places]
            for at, answers in zip(places, self._advance(self._banks[which], own), strict=True):
                found[at] = answers
        return [answers for answers in found if answers is not None]

    def _advance(
        self, bank: AnomalyStreams, rows: Sequence[tuple[Stream, Points]]
    ) -> list[PointAnswers]:
        sizes = [len(seen.values) for _, seen in rows]
        found = bank.advance(
            np.repeat(np.array([stream.slot for stream, _ in rows], dtype=np.int64), sizes),
            np.concatenate([np.array(seen.values, dtype=np.float64) for _, seen in rows]),
            np.repeat([seen.share for _, seen in rows], sizes),
        )
        ends = np.cumsum(sizes)
        columns, members = vars(found), rows[0][0].record.members
        parts = [
            {name: column[end - size : end] for name, column in columns.items()}
            for end, size in zip(ends.tolist(), sizes, strict=True)
        ]
        return [PointAnswers(**part, members=members) for part in parts]

    def alarms(self, answers: PointAnswers, seen: Points) -> list[dict[str, Any]]:
        rows = np.flatnonzero(answers.is_anomaly).tolist()
        at_fault = answers.at_fault() if rows else []
        return [
            {
                "at": seen.times[row],
                "value": seen.values[row],
                "p_value": float(answers.p_value[row]),
                "score": float(answers.score[row]),
            }
            | _laid_to(at_fault[row], seen.values[row], answers.members)
            for row in rows
        ]

    def latest(self, answers: PointAnswers) -> dict[str, Any]:
        oddest = int(answers.score.argmax())
        said = {
            "score": float(answers.score[oddest]),
            "p_value": float(answers.p_value[oddest]),
        }
        return said | ({"member": answers.at_fault()[oddest]} if answers.members else {})

    def reply(
        self, stream: Stream, answers: PointAnswers | None, taken: dict[str, int]
    ) -> Reply[Event]:
        """Say what each point is worth that was taken; the oddest one is what safety judges."""
        latest = stream.record.latest
        if latest is None:
            return Reply(refusal=ALL_LATE)
        points = [] if answers is None else _points(answers)
        data = {"points": points, "detector": stream.record.detector, **taken}
        return Reply(columns_of(latest, stream.record.observations), {"data": data})

    def unfit(self, stream: Stream, ask: ObservePoints) -> Refusal | None:
        record, found, choice = stream.record, len(ask["values"][0]), ask.get("choice")
        if record.latest is None:
            return _too_wide(found, _detector(choice))
        if found != record.dimensions:
            message = (
                f"The stream has {record.dimensions} dimensions, but the points of this body "
                f"have {found}"
            )
            return {"code": "invalid", "message": message, "fields": {"points": message}}
        return _another(record, choice)

    def look(self, stream: Stream, ask: Show | JudgeDeploy) -> dict[str, Any]:  # noqa: ARG002 - shown only
        return {}

    def detector_bytes(self, stream: Stream) -> int:
        slot = stream.slot
        return 0 if slot is None else self._bank(stream.record).nbytes(slot)

    def write_detector(self, record: Record, slot: int) -> bytes:
        return self._bank(record).encode(slot)

    def read_detector(self, record: Record, saved: bytes) -> int:
        return self._bank(record).decode(saved)

    def free(self, record: Record, slot: int) -> None:
        bank = self._bank(record)
        bank.close(slot)
        if not len(bank):  # there is no end to the fleets that clients may make up
            del self._banks[_like(record)]

    def _bank(self, record: Record) -> AnomalyStreams:
        like = _like(record)
        if like not in self._banks:
            detector: Any = record.detector
            fleet = detector == FLEET
            roster = FleetLayout(record.members, tuple(record.weights)) if fleet else None
            self._banks[like] = AnomalyStreams(record.dimensions, detector, roster=roster)
        return self._banks[like]


def _choose(record: Record, seen: Points) -> None:
    """Note what a stream is begun with, and keeps."""
    choice = seen.choice
    record.detector = _detector(choice) or USUAL_DETECTOR
    record.dimensions = len(seen.values[0])
    if not (choice is None or isinstance(choice, str)):
        record.members = choice["members"]
        even = [1.0] * (record.dimensions // record.members)
        record.weights = choice.get("weights", even)


def _like(record: Record) -> Like:
    return record.detector, record.dimensions, record.members, tuple(record.weights)


def _detector(choice: PointChoice | None) -> str | None:
    """Name the detector of a choice: itself, or that of what a fleet is begun with."""
    return choice if choice is None or isinstance(choice, str) else choice["detector"]


def _too_wide(found: int, detector: str | None) -> Refusal | None:
    if found <= MOST_DIMENSIONS or detector == FLEET:
        return None
    message = (
        f"A point has {found} dimensions; the most is {MOST_DIMENSIONS}, except with the "
        "detector fleet"
    )
    return {"code": "invalid", "message": message, "fields": {"points": message}}


def _another(record: Record, choice: PointChoice | None) -> Refusal | None:
    """Refuse a choice that differs from the one that the stream was created with."""
    chosen: Mapping[str, object] = (
        {"detector": choice} if choice is None or isinstance(choice, str) else choice
    )
    for name, found in chosen.items():
        kept = getattr(record, name)
        if found not in (None, kept):
            message = (
                f"The stream was created with {name} {kept}, which cannot change: delete the "
                "stream to choose another"
            )
            return {"code": "conflict", "message": message, "fields": {name: message}}
    return None


def _laid_to(member: int | None, point: list[float], members: int) -> dict[str, Any]:
    """Name the member of a fleet that an alarm is about, and give its metrics alone."""
    if member is None:
        return {}
    metrics = len(point) // members
    return {"member": member, "value": point[member * metrics : (member + 1) * metrics]}


def _points(answers: PointAnswers) -> list[dict[str, Any]]:
    rows = zip(
        answers.score.tolist(),
        answers.p_value.tolist(),
        answers.is_anomaly.tolist(),
        answers.attribution.tolist(),
        strict=True,
    )
    points: list[dict[str, Any]] = [
        {"score": score, "p_value": p, "is_anomaly": odd, "attribution": parts}
        for score, p, odd, parts in rows
    ]
    if answers.members:
        for point, member in zip(points, answers.at_fault(), strict=True):
            point["member"] = member
    return points


def columns_of(latest: dict[str, Any], observations: int) -> dict[str, float]:
    """Give the columns that safety judges; the interval is the p-value's, a share of so many."""
    p = latest["p_value"]
    error = _Z * math.sqrt(p * (1 - p) / max(min(observations, _RANKED), 1))
    return {
        "score": latest["score"],
        "p_value": p,
        "lower": max(p - error, 0.0),
        "upper": min(p + error, 1.0),
    }
