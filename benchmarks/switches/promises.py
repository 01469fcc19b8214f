"""What switches under load promise, and what was found of each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.switches.load import Books
from benchmarks.switches.switching import Switch

EVERYWHERE_SECONDS = 1.0
BACK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Promise:
    """What was found, and at most how much of it may be."""

    name: str
    found: float
    allowed: float
    examples: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return self.found <= self.allowed


def promises(
    switches: Sequence[Switch],
    books: Books,
    strangers: int,
    mixed: Sequence[str],
    missing: int,
) -> list[Promise]:
    settled = [each.settled for each in switches]
    back = [each.settled for each in switches if each.rolled_back]
    unseen = sum(not each.seen for each in switches)
    return [
        Promise("requests that failed", len(books.failed), 0, tuple(books.failed)),
        Promise(
            "requests whose rows name several versions", len(books.split), 0, tuple(books.split)
        ),
        Promise(
            "rows with a part of another version", len(books.of_others), 0, tuple(books.of_others)
        ),
        Promise("rows of the ledger with a part of another version", len(mixed), 0, tuple(mixed)),
        Promise("rows that are not in the ledger", missing, 0),
        Promise("answers by neither the version before nor the one after", strangers, 0),
        Promise("switches that a client did not see in time", unseen, 0),
        Promise(
            "s until all clients had the new version, and none the old: p99",
            quantile(settled, 0.99),
            EVERYWHERE_SECONDS,
        ),
        Promise("the same of rollbacks, s: at most", quantile(back, 1.0), BACK_SECONDS),
    ]


def quantile(values: Sequence[float], level: float) -> float:
    """Give the smallest value that so many do not exceed; infinite without any."""
    if not values:
        return math.inf
    return sorted(values)[max(math.ceil(level * len(values)) - 1, 0)]
