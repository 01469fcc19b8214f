"""When a test's evidence first reaches a limit, looked at after every request: exactly.

The evidence is the least wealth over many cells, so it is below the limit while one cell's is. One
cell is followed over all requests at once; where it reaches the limit all cells are looked at, and
the poorest is followed from there. What is found is the same as with all cells at every request.
"""

from typing import Protocol

import numpy as np

from benchmarks.evidence.traffic import Bools, Floats, Ints
from models.evidence.bets import Bank, observed
from models.evidence.quantiles import both, pair_wealth, two_arm_counts
from models.evidence.thresholds import exceeding

CHUNK = 4096
NEVER = -1


class Path(Protocol):
    """A test's counts over time."""

    def bank(self, cell: int) -> Bank: ...

    def counts(self, cell: int) -> Floats:
        """Give the counts of a cell after each request."""
        ...

    def all_cells(self, at: int) -> Floats:
        """Give the wealth of every cell after request `at`."""
        ...


def first_crossing(path: Path, limit: float, looks: Ints, cell: int = 0) -> int:
    """Give the number of requests after which the limit is reached; NEVER if it is not."""
    at = 0
    counts = path.counts(cell)[looks]
    while at < looks.size:
        above = np.flatnonzero(path.bank(cell).log_wealth(counts[at : at + CHUNK]) >= limit)
        if not above.size:
            at += CHUNK
            continue
        at += int(above[0])
        wealth = path.all_cells(int(looks[at]))
        cell = int(wealth.argmin())
        if wealth[cell] >= limit:
            return int(looks[at]) + 1
        at += 1
        counts = path.counts(cell)[looks]
    return NEVER


class RatePath:
    """Counts of hits, the same for all cells: two arms' or a pair's."""

    def __init__(self, bank: Bank, counts: Floats) -> None:
        self._bank, self._counts = bank, counts

    def bank(self, cell: int) -> Bank:
        if self._bank.pays.ndim == 2:  # noqa: PLR2004 - pairs have no cells
            return self._bank
        return Bank(self._bank.pays[cell], self._bank.log_weights)

    def counts(self, cell: int) -> Floats:
        del cell
        return self._counts

    def all_cells(self, at: int) -> Floats:
        return np.atleast_1d(self._bank.log_wealth(self._counts[at]))


def arms_counts(low: Bools, hits: Floats, weights: Floats) -> Floats:
    """Count hits and misses of the lower arm, then of the higher, after each request."""
    columns = [low * hits, low * (1 - hits), ~low * hits, ~low * (1 - hits)]
    return np.cumsum(np.stack(columns, axis=1) * weights[:, None], axis=0)


def pair_counts(incumbent: Floats, candidate: Floats) -> Floats:
    alone = candidate * (1 - incumbent), incumbent * (1 - candidate)
    return np.cumsum(np.stack([*alone, 1 - alone[0] - alone[1]], axis=1), axis=0)


class ArmsQuantilePath:
    """Counts of values above the thresholds, of two arms."""

    def __init__(self, bank: Bank, low: Bools, cells: Ints, size: int, weights: Floats) -> None:
        self._bank, self._low, self._cells = bank, low, cells
        self._size, self._weights = size, weights

    def bank(self, cell: int) -> Bank:
        del cell
        return self._bank

    def counts(self, cell: int) -> Floats:
        hits = self._cells >= np.where(self._low, cell, cell + 1)
        return arms_counts(self._low, hits.astype(float), self._weights)

    def all_cells(self, at: int) -> Floats:
        low, cells, weights = (each[: at + 1] for each in (self._low, self._cells, self._weights))
        sides = (
            exceeding(np.bincount(cells[chosen], weights[chosen], self._size))
            for chosen in (low, ~low)
        )
        return self._bank.log_wealth(two_arm_counts(*sides))


class PairsQuantilePath:
    """Counts of pairs that exceed the thresholds, with both answers or with one."""

    def __init__(self, bank: Bank, low: Ints, high: Ints, size: int) -> None:
        self._bank, self._low, self._high, self._size = bank, low, high, size
        self._both = both(low, high)

    def bank(self, cell: int) -> Bank:
        del cell
        return self._bank

    def counts(self, cell: int) -> Floats:
        x, y = self._low >= cell, self._high > cell
        return np.cumsum(observed(x & y, x & ~y, ~x & y, ~x & ~y), axis=0)

    def all_cells(self, at: int) -> Floats:
        joint = self._both[: at + 1]
        columns = (self._low[: at + 1], self._high[: at + 1], joint[joint >= 0])
        low, high, known = (
            exceeding(np.bincount(each, minlength=self._size).astype(float)) for each in columns
        )
        return pair_wealth(self._bank, low, high, known)
