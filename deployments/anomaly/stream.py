"""One stream in memory, and what its log says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from deployments.anomaly.operations import Choice, Observe, Value
from deployments.anomaly.record import Event, Observed, Record

# The event that ends a stream; its next observation begins it anew.
DELETED: Event = []


@dataclass(slots=True)
class Stream:
    """One stream in memory; without a slot while nothing was observed."""

    name: str
    record: Record = field(default_factory=Record)
    slot: int | None = None
    # The latest event and what the detectors said of it: for who asks again after a death.
    last: tuple[Observed[Any, Any], Any] | None = None

    @property
    def seed(self) -> int:
        """What is random in a stream follows from its name, on any replica."""
        return crc32(self.name.encode())


def repeated_answers(
    stream: Stream, seen: Observed[Value, Choice], ask: Observe[Value, Choice]
) -> Any:
    """Give what was said of a body that its client sends again for want of the answer."""
    if stream.last is None or "sequence" not in ask:
        return None
    last, answers = stream.last
    n = len(ask["values"])
    same = seen.duplicates == n == len(last.values) and ask["sequence"] + n - 1 == last.sequence
    return answers if same else None


def lives_in(events: Sequence[Event]) -> list[list[Observed[Any, Any]]]:
    """Part a log at its deletions, one of which stands between any two parts."""
    lives: list[list[Observed[Any, Any]]] = [[]]
    for event in events:
        if event == DELETED:
            lives.append([])
        else:
            lives[-1].append(Observed.of(event))
    return lives
