"""What is kept of a stream beside its detector: its place in the client's order, and its alarms."""

import struct
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Self

import orjson

from deployments.anomaly.operations import Choice, Value

_LENGTH = struct.Struct("<I")
KEPT_ALARMS = 16
Event = list[Any]
"""An entry of a stream's log: what `Observed.event` writes, or nothing for a deletion."""


@dataclass(slots=True)
class Record:
    """A stream's book-keeping; a part of its state, so that it is replayed like the rest."""

    observations: int = 0
    created: float = 0.0
    updated: float = 0.0
    # The client's number of the latest observation, and its time, where it gave them.
    sequence: int | None = None
    ts: float | None = None
    # Observations that were not taken, by why.
    duplicates: int = 0
    late: int = 0
    # Numbers that the client skipped.
    missing: int = 0
    alarms: int = 0
    latest_alarms: list[dict[str, Any]] = field(default_factory=list)
    # What the detector said of the latest observation.
    latest: dict[str, Any] | None = None
    # What the stream was begun with and keeps.
    dimensions: int = 1
    detector: str = ""
    # Of a fleet: how many it is of, and what each of its metrics weighs.
    members: int = 0
    weights: list[float] = field(default_factory=list)

    def alarmed(self, alarm: dict[str, Any]) -> None:
        self.alarms += 1
        self.latest_alarms = [*self.latest_alarms, alarm][-KEPT_ALARMS:]


def pack(record: Record, detector: bytes) -> bytes:
    head = orjson.dumps(asdict(record))
    return _LENGTH.pack(len(head)) + head + detector


def unpack(saved: bytes) -> tuple[Record, bytes]:
    (length,) = _LENGTH.unpack_from(saved)
    end = _LENGTH.size + length
    head: dict[str, Any] = orjson.loads(saved[_LENGTH.size : end])
    # A later release may have written more, and its streams come back when it is rolled back.
    known = {name: value for name, value in head.items() if name in Record.__slots__}
    return Record(**known), saved[end:]


@dataclass(frozen=True, slots=True)
class Observed(Generic[Value, Choice]):
    """An event: the observations that were taken, and all else that the state depends on.

    The log holds its fields in this order, so a new one goes to the end, with a default.
    """

    values: list[Value]
    times: list[float]
    # Of the last value, after it was taken.
    sequence: int | None
    ts: float | None
    duplicates: int
    late: int
    missing: int
    share: float
    now: float
    choice: Choice | None = None
    # The decision that it is, by which it is known when it is sent again.
    id: str = ""

    def event(self) -> Event:
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls(*event)
