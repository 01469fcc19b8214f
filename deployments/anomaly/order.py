"""Which observations of a body are taken: each once, and in the order of their time.

With `sequence`, the client's number of the body's first value, what has been taken already is
passed over, also when a body overlaps the one before; numbers that were skipped are counted, and do
not hold the stream up. With `ts`, an observation older than the latest is late: a detector follows
time, so it is counted and left out. Neither is an error: a client that sends again after a lost
answer gets an answer.

With `cadence` there is one observation an interval, and its time is its number: what is not later
than the latest was taken already, or has no place any more.
"""

from typing import Any, Generic, NamedTuple

from deployments.anomaly.operations import Choice, Observe, Value
from deployments.anomaly.record import Observed, Record


class Position(NamedTuple):
    """Where a stream stands in its client's order: the latest observation's number and time."""

    sequence: int | None
    ts: float | None


class AcceptedValues(NamedTuple, Generic[Value]):
    values: list[Value]
    times: list[float]
    sequence: int | None
    ts: float | None
    duplicates: int
    late: int
    missing: int


def take(position: Position, ask: Observe[Value, Choice], now: float) -> AcceptedValues[Value]:
    """Choose from a body's values those that come after this position."""
    values, given, cadence = ask["values"], ask.get("ts"), ask.get("cadence")
    times = _times(given, len(values), now)
    first = ask.get("sequence")
    duplicates = missing = 0
    if first is not None and position.sequence is not None:
        duplicates = min(max(position.sequence + 1 - first, 0), len(values))
        missing = max(first - position.sequence - 1, 0)
    values, times = values[duplicates:], times[duplicates:]
    kept_values, kept_times, latest = list[Value](), list[float](), position.ts
    for value, at in zip(values, times, strict=True):
        if given is not None:
            if latest is not None and (at < latest or (cadence and at == latest)):
                continue
            if latest is not None and cadence:
                missing += max(round((at - latest) / cadence) - 1, 0)
            latest = at
        kept_values.append(value)
        kept_times.append(at)
    sequence = position.sequence
    if first is not None and values:
        sequence = first + duplicates + len(values) - 1
    late = len(values) - len(kept_values)
    if cadence:
        duplicates, late = duplicates + late, 0
    return AcceptedValues(kept_values, kept_times, sequence, latest, duplicates, late, missing)


def _times(given: float | list[float] | None, n: int, now: float) -> list[float]:
    if given is None:
        return [now] * n
    return list(given) if isinstance(given, list) else [given] * n


def book(record: Record, seen: Observed[Any, Any]) -> None:
    """Note in the record what was taken, and what was not."""
    if record.updated == 0:
        record.created = seen.now
    record.updated = seen.now
    record.observations += len(seen.values)
    record.sequence, record.ts = seen.sequence, seen.ts
    record.duplicates += seen.duplicates
    record.late += seen.late
    record.missing += seen.missing
