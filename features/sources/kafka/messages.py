"""Turns messages into rows: each body is one that a client could have posted.

The messages of a read become one piece of telemetry. Of two messages that give one metric of one
entity and interval the later one counts, as of two posts; within a message it is the first.
"""

from collections.abc import Iterable

from features.errors import PostRefusedError
from features.sources.checks import RawRows, checked
from features.sources.kafka.batch import Message
from features.sources.posted import MOST_BYTES, Posted, steps
from features.sources.posted_cells import METRICS
from features.sources.source import Complaint, Gathered, add_up


def gathered(
    messages: Iterable[Message], *, csv: bool, now: float, cadence_seconds: int
) -> Gathered:
    """Read and check all bodies; the same messages and the same `now` give the same rows."""
    rows, complaints = _Rows(), []
    # The last first: of several values the first is kept.
    for message in reversed(list(messages)):
        try:
            posted = read_body(message.body, csv=csv)
        except PostRefusedError as refusal:
            complaints.append(Complaint("schema", 1, f"{_place(message)}: {refusal}"))
            continue
        rows.add(posted.rows)
        complaints += [
            Complaint(each.fault, each.count, f"{_place(message)}: {each.example}")
            for each in posted.complaints
        ]
    found = checked(rows.together(), now=now, cadence_seconds=cadence_seconds)
    return Gathered(found.telemetry, add_up([*complaints, *found.complaints]))


def read_body(body: bytes, *, csv: bool) -> Posted:
    """Read one body; PostRefusedError where it cannot be read."""
    if len(body) > MOST_BYTES:
        raise PostRefusedError("body", f"it is over {MOST_BYTES} bytes: write smaller messages")
    reading = steps(body, csv=csv)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            posted: Posted = done.value
            return posted


def _place(message: Message) -> str:
    return f"partition {message.partition}, offset {message.offset}"


class _Rows:
    """Gathers the rows of many bodies into columns."""

    def __init__(self) -> None:
        self._entity: list[str] = []
        self._ts: list[float] = []
        self._metrics: dict[str, list[float | None]] = {name: [] for name in METRICS}
        self._deploy: list[bool] = []

    def add(self, rows: RawRows) -> None:
        count = len(rows.ts)
        self._entity += rows.entity
        self._ts += rows.ts
        self._deploy += [False] * count if rows.deploy is None else rows.deploy
        for name, column in self._metrics.items():
            column.extend(rows.metrics.get(name) or [None] * count)

    def together(self) -> RawRows:
        given = {
            name: column
            for name, column in self._metrics.items()
            if any(value is not None for value in column)
        }
        return RawRows(self._entity, self._ts, given, self._deploy)
