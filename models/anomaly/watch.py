"""One detector of points over many streams, its scores judged against each stream's own past."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from models.anomaly.alarms import AlarmBank, AlarmSettings, Judged
from models.elementwise import log
from models.errors import ArtifactError
from models.protocols import BoolArray, FloatArray, IntArray

_LEAST = 1e-3  # a score of 0 has no logarithm


class Scores(Protocol):
    @property
    def score(self) -> FloatArray: ...
    @property
    def attribution(self) -> FloatArray: ...


class PointStream(Protocol):
    """A detector of one stream, as `rrcf`, `isolation_stream` and `fleet` have it."""

    dimensions: int
    seen: int

    def advance(self, points: FloatArray) -> Scores: ...
    def nbytes(self) -> int: ...
    def encode(self) -> bytes: ...


@dataclass(frozen=True)
class AnomalyAnswers:
    """A row for each point."""

    score: FloatArray
    p_value: FloatArray
    """Of the score, among the stream's own recent ones."""
    evidence: FloatArray
    """That the stream changed; the alarm needs 1."""
    is_anomaly: BoolArray
    attribution: FloatArray
    """(rows, dimensions): what each speaks for the score, in the detector's own unit."""


class Watch:
    """Streams under one detector and one alarm rule; the slots are the caller's."""

    def __init__(
        self,
        name: str,
        make: Callable[[int], PointStream],
        read: Callable[[bytes], PointStream],
        warmup: int,
        alarms: AlarmSettings | None,
    ) -> None:
        self.name = name
        self._make, self._read, self._warmup = make, read, warmup
        self._alarms = AlarmBank(alarms)
        self._streams = dict[int, PointStream]()
        self._judged_as = dict[int, int]()

    def open(self, slot: int, seed: int) -> None:
        self._streams[slot] = self._make(seed)
        self._judged_as[slot] = self._alarms.open(seed)

    def close(self, slot: int) -> None:
        del self._streams[slot]
        self._alarms.close(self._judged_as.pop(slot))

    def advance(self, rows: IntArray, points: FloatArray, shares: FloatArray) -> AnomalyAnswers:
        """Score each stream's points in their order, then judge all rows in one call."""
        score, attribution = np.zeros(rows.size), np.zeros(points.shape)
        warm, judged_as = np.zeros(rows.size, dtype=np.bool_), np.zeros(rows.size, dtype=np.int64)
        for own in by_stream(rows):
            slot = int(rows[own[0]])
            stream = self._streams[slot]
            warm[own] = stream.seen + np.arange(own.size) < self._warmup
            scores = stream.advance(points[own])
            score[own], attribution[own] = scores.score, scores.attribution
            judged_as[own] = self._judged_as[slot]
        ratio = log(np.maximum(score, _LEAST))  # heavy tails of a score are exponential in this
        judged = judge_when_warm(self._alarms, judged_as, ratio, shares, warm, points)
        return AnomalyAnswers(score, judged.p_value, judged.evidence, judged.alarm, attribution)

    def nbytes(self, slot: int) -> int:
        return self._streams[slot].nbytes() + self._alarms.nbytes()

    def encode(self, slot: int) -> Mapping[str, bytes]:
        return {
            self.name: self._streams[slot].encode(),
            f"{self.name} alarm": self._alarms.encode(self._judged_as[slot]),
        }

    def decode(self, slot: int, parts: Mapping[str, bytes]) -> None:
        """Open a slot as `encode` wrote it; ArtifactError when it was of other settings."""
        try:
            stream = self._read(parts[self.name])
            judged_as = self._alarms.restore(parts[f"{self.name} alarm"])
        except KeyError as error:
            raise ArtifactError(f"the snapshot has no {error}") from error
        self._streams[slot], self._judged_as[slot] = stream, judged_as


def by_stream(rows: IntArray) -> list[IntArray]:
    """Give the places of each stream's rows, in their order."""
    if not rows.size:
        return []
    order = np.argsort(rows, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(rows[order])) + 1)


def judge_when_warm(
    alarms: AlarmBank, slots: IntArray, scores: FloatArray, shares: FloatArray, warm: BoolArray,
    observed: FloatArray,
) -> Judged:  # fmt: skip
    """Judge all rows but those of a warm-up: they have p-value 1 and leave no trace."""
    if not warm.any():
        return alarms.advance(slots, scores, shares, observed)
    judged = Judged(np.ones(slots.size), np.zeros(slots.size), np.zeros(slots.size, dtype=np.bool_))
    ripe = np.flatnonzero(~warm)
    part = alarms.advance(slots[ripe], scores[ripe], shares[ripe], observed[ripe])
    whole: Any = vars(judged)
    for name, column in vars(part).items():
        whole[name][ripe] = column
    return judged


def odder(one: AnomalyAnswers, other: AnomalyAnswers) -> AnomalyAnswers:
    """Answer each row by the detector to which it is odder; twice the smaller p-value is one."""
    first = one.p_value <= other.p_value
    return AnomalyAnswers(
        score=np.where(first, one.score, other.score),
        p_value=np.minimum(1.0, 2 * np.minimum(one.p_value, other.p_value)),
        evidence=np.maximum(one.evidence, other.evidence),
        is_anomaly=one.is_anomaly | other.is_anomaly,
        attribution=np.where(first[:, None], one.attribution, other.attribution),
    )
