"""What every source of telemetry does, whoever stands behind it."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from features.telemetry.columns import Bools, Telemetry

Fault = Literal[
    "schema",  # not the columns or types that were agreed
    "not a number",  # NaN or infinity where a value was given
    "out of bounds",  # a share over 1, a negative rate
    "clock skew",  # measured in the future, or said to be
    "duplicate",  # two values of one metric, entity and interval
    "gap",  # intervals that the source has nothing of
    "counter reset",  # a counter that fell: its process started anew
    "ambiguous labels",  # two label sets that name one entity's one metric
    "unknown metric",
    "late",  # came after its interval was closed
]


@dataclass(frozen=True, slots=True)
class Complaint:
    """What was wrong with telemetry, how often, and one example that a person can look up."""

    fault: Fault
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that a source saw, for the timeline; deploys are a column of the telemetry."""

    kind: Literal["restart"]
    time: float  # epoch seconds, of the first of so many in an interval
    entity: str
    times: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a source gave; the telemetry is what was right of it."""

    telemetry: Telemetry
    complaints: tuple[Complaint, ...] = ()
    until: int | None = None
    """Intervals from here on may still come, and are to be asked for again; None: none will."""
    events: tuple[Happened, ...] = ()


class Source(Protocol):
    """A place that is asked for telemetry.

    `range` raises SourceAwayError where nobody answers, and SourceRefusedError where what was
    asked is refused: asking again will not help then.
    """

    @property
    def cadence_seconds(self) -> int: ...

    @property
    def settling_seconds(self) -> float:
        """For how long after its end an interval is not asked for yet."""
        ...

    async def range(self, start: int, stop: int) -> Gathered:
        """Give the whole intervals that begin in [start, stop), epoch seconds."""
        ...

    async def oldest(self) -> int | None:
        """Tell how far back the source goes, epoch seconds; None where it has nothing."""
        ...

    async def close(self) -> None: ...


def add_up(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """Give one complaint for each fault, with the first example."""
    counts: Counter[Fault] = Counter()
    examples: dict[Fault, str] = {}
    for each in complaints:
        counts[each.fault] += each.count
        examples.setdefault(each.fault, each.example)
    return tuple(Complaint(fault, count, examples[fault]) for fault, count in counts.items())


class Faults:
    """Collects complaints; an example is only put into words where there is something wrong."""

    def __init__(self) -> None:
        self._found: list[Complaint] = []

    def add(self, fault: Fault, count: int, example: str) -> None:
        if count:
            self._found.append(Complaint(fault, count, example))

    def add_where(self, fault: Fault, wrong: Bools, example: Callable[[int], str]) -> None:
        """Complain of every row that is marked, with the first as the example."""
        if wrong.any():
            self.add(fault, int(wrong.sum()), example(int(np.argmax(wrong))))

    def complaints(self) -> tuple[Complaint, ...]:
        return add_up(self._found)
