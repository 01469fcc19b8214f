"""Anomalies in streams of vectors: each point's score, how rare it is, and what it comes from."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deployments.batch import Refusal
from deployments.families.streams import USUAL_DETECTOR
from deployments.keyed.keeper import Reply
from deployments.streams.keeper import Stream, StreamKeeper
from deployments.streams.purse import Purse
from deployments.streams.record import Observed, Record
from models.anomaly.streams import AnomalyStreams
from models.anomaly.watch import AnomalyAnswers

MOST_STREAMS = 2_000
"""In memory on one replica, 380 to 750 kB each; those idle longest leave first."""
_Z = 1.6448536269514722  # of a 90 % interval
# A p-value is a rank among at most so many scores (models/anomaly/alarms.py).
_RANKED = 1536


class PointKeeper(StreamKeeper[AnomalyAnswers]):
    """One bank for each detector and number of dimensions."""

    kind = "anomaly"
    columns = ("score", "p_value", "lower", "upper")

    def __init__(self, purse: Purse, clock: Callable[[], float]) -> None:
        super().__init__(purse, clock)
        self._banks: dict[tuple[str, int], AnomalyStreams] = {}

    def begin(self, stream: Stream, seen: Observed) -> None:
        record = stream.record
        record.detector = seen.choice or USUAL_DETECTOR
        record.dimensions = len(seen.values[0])
        stream.slot = self._bank(record).open(stream.seed)

    def advance(self, rows: Sequence[tuple[Stream, Observed]]) -> list[AnomalyAnswers]:
        found: list[AnomalyAnswers | None] = [None] * len(rows)
        banks: dict[tuple[str, int], list[int]] = {}
        for at, (stream, _) in enumerate(rows):
            banks.setdefault(_bank_of(stream.record), []).append(at)
        for which, places in banks.items():
            own = [rows[at] for at in places]
            for at, answers in zip(places, self._advance(self._banks[which], own), strict=True):
                found[at] = answers
        return [answers for answers in found if answers is not None]

    def _advance(
        self, bank: AnomalyStreams, rows: Sequence[tuple[Stream, Observed]]
    ) -> list[AnomalyAnswers]:
        sizes = [len(seen.values) for _, seen in rows]
        found = bank.advance(
            np.repeat(np.array([stream.slot for stream, _ in rows], dtype=np.int64), sizes),
            np.concatenate([np.array(seen.values, dtype=np.float64) for _, seen in rows]),
            np.repeat([seen.share for _, seen in rows], sizes),
        )
        ends = np.cumsum(sizes)
        columns = vars(found)
        return [
            AnomalyAnswers(**{name: column[end - size : end] for name, column in columns.items()})
            for end, size in zip(ends.tolist(), sizes, strict=True)
        ]

    def alarms(self, answers: AnomalyAnswers, seen: Observed) -> list[dict[str, Any]]:
        return [
            {
                "at": seen.times[row],
                "value": seen.values[row],
                "p_value": float(answers.p_value[row]),
                "score": float(answers.score[row]),
            }
            for row in np.flatnonzero(answers.is_anomaly).tolist()
        ]

    def latest(self, answers: AnomalyAnswers) -> dict[str, Any]:
        oddest = int(answers.score.argmax())
        return {
            "score": float(answers.score[oddest]),
            "p_value": float(answers.p_value[oddest]),
        }

    def reply(self, stream: Stream, answers: AnomalyAnswers | None, taken: dict[str, int]) -> Reply:
        """Say what each point is worth that was taken; the oddest one is what safety judges."""
        latest = stream.record.latest
        if latest is None:
            why = "Nothing of this stream was taken yet, and all of this body is late"
            return Reply(refusal={"code": "conflict", "message": why})
        points = [] if answers is None else _points(answers)
        data = {"points": points, "detector": stream.record.detector, **taken}
        return Reply(_numbers(latest, stream.record.observations), {"data": data})

    def unfit(self, stream: Stream, ask: dict[str, Any]) -> Refusal | None:
        if stream.record.latest is None:
            return None
        found = len(ask["v"][0])
        if found != stream.record.dimensions:
            message = f"The stream has {stream.record.dimensions} dimensions, this body {found}"
            return {"code": "invalid", "message": message, "fields": {"points": message}}
        if ask.get("c") not in (None, stream.record.detector):
            message = f"The stream keeps {stream.record.detector}: delete it to begin with another"
            return {"code": "conflict", "message": message, "fields": {"detector": message}}
        return None

    def look(self, stream: Stream, ask: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - shown only
        return {}

    def write_detector(self, record: Record, slot: int) -> bytes:
        return self._bank(record).encode(slot)

    def read_detector(self, record: Record, saved: bytes) -> int:
        return self._bank(record).decode(saved)

    def free(self, record: Record, slot: int) -> None:
        self._bank(record).close(slot)

    def _bank(self, record: Record) -> AnomalyStreams:
        which = _bank_of(record)
        if which not in self._banks:
            detector: Any = record.detector
            self._banks[which] = AnomalyStreams(record.dimensions, detector)
        return self._banks[which]


def _bank_of(record: Record) -> tuple[str, int]:
    return record.detector, record.dimensions


def _points(answers: AnomalyAnswers) -> list[dict[str, Any]]:
    rows = zip(
        answers.score.tolist(),
        answers.p_value.tolist(),
        answers.is_anomaly.tolist(),
        answers.attribution.tolist(),
        strict=True,
    )
    return [
        {"score": score, "p_value": p, "is_anomaly": odd, "attribution": parts}
        for score, p, odd, parts in rows
    ]


def _numbers(latest: dict[str, Any], observations: int) -> dict[str, float]:
    """Give the columns that safety judges; the interval is the p-value's, a share of so many."""
    p = latest["p_value"]
    error = _Z * math.sqrt(p * (1 - p) / max(min(observations, _RANKED), 1))
    return {
        "score": latest["score"],
        "p_value": p,
        "lower": max(p - error, 0.0),
        "upper": min(p + error, 1.0),
    }
