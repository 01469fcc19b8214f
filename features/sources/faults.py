"""What was found wrong while checking, with one example of each."""

from collections.abc import Callable

import numpy as np

from features.sources.source import Complaint, Fault, add_up
from features.telemetry.columns import Bools


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
