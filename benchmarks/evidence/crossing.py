"""When a test's evidence first reaches a limit, looked at after every request: exactly.

The evidence is the least wealth over many cells, so it is below the limit while one cell's is. One
cell is followed over all requests at once; where it reaches the limit all cells are looked at, and
the poorest is followed from there. What is found is the same as with all cells at every request.
"""

from typing import Protocol

import numpy as np

from benchmarks.evidence.traffic import Bools, Floats, Ints
from models.evidence.bets import Bank
from models.evidence.quantiles import both, pair_wealth, told_apart, two_arm_counts
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
        above = _first_above(path.bank(cell), counts[at : at + CHUNK], limit)
        if above == NEVER:
            at += CHUNK
            continue
        at += above
        wealth = path.all_cells(int(looks[at]))
        cell = int(wealth.argmin())
        if wealth[cell] >= limit:
            return int(looks[at]) + 1
        at += 1
        counts = path.counts(cell)[looks]
    return NEVER


def _first_above(bank: Bank, counts: Floats, limit: float) -> int:
    """Find the first time at which the wealth reaches the limit."""
    # A bank is no richer than its richest bet times their number: most times are passed over so.
    richest = (counts @ bank.pays.T + bank.log_weights).max(axis=1)
    likely = np.flatnonzero(richest >= limit - np.log(bank.log_weights.size))
    if not likely.size:
        return NEVER
    reached = likely[bank.log_wealth(counts[likely]) >= limit]
    return int(reached[0]) if reached.size else NEVER


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
    hit, miss = hits * weights, (1 - hits) * weights
    return _summed(low * hit, low * miss, ~low * hit, ~low * miss)


def pair_counts(incumbent: Floats, candidate: Floats) -> Floats:
    alone = candidate * (1 - incumbent), incumbent * (1 - candidate)
    return _summed(*alone, 1 - alone[0] - alone[1])


def _summed(*kinds: Floats | Bools) -> Floats:
    """Sum each kind up over the requests: (requests, kinds), each kind in one piece of memory."""
    return np.cumsum(np.stack(kinds).astype(np.float64), axis=1).T


class ArmsQuantilePath:
    """Counts of values above the thresholds, of two arms."""

    def __init__(
        self, bank: Bank, low: Bools, cells: Ints, size: int, weights: Floats, *, for_good: bool
    ) -> None:
        self._bank, self._low, self._cells, self._for_good = bank, low, cells, for_good
        self._size, self._weights = size, weights

    def bank(self, cell: int) -> Bank:
        del cell
        return self._bank

    def counts(self, cell: int) -> Floats:
        hits = self._cells >= np.where(self._low, cell, cell + 1)
        return arms_counts(self._low, hits.astype(float), self._weights)

    def all_cells(self, at: int) -> Floats:
        low, cells, weights = self._low[: at + 1], self._cells[: at + 1], self._weights[: at + 1]
        sides = (
            exceeding(np.bincount(cells[chosen], weights[chosen], self._size).astype(np.float64))
            for chosen in (low, ~low)
        )
        wealth = self._bank.log_wealth(two_arm_counts(*sides))
        return told_apart(wealth) if self._for_good else wealth


class PairsQuantilePath:
    """Counts of pairs that exceed the thresholds, with both answers or with one."""

    def __init__(self, bank: Bank, low: Ints, high: Ints, size: int, *, for_good: bool) -> None:
        self._bank, self._low, self._high, self._size = bank, low, high, size
        self._for_good = for_good
        self._both = both(low, high)

    def bank(self, cell: int) -> Bank:
        del cell
        return self._bank

    def counts(self, cell: int) -> Floats:
        x, y = self._low >= cell, self._high > cell
        return _summed(x & y, x & ~y, ~x & y, ~x & ~y)

    def all_cells(self, at: int) -> Floats:
        joint = self._both[: at + 1]
        columns = (self._low[: at + 1], self._high[: at + 1], joint[joint >= 0])
        low, high, known = (
            exceeding(np.bincount(each, minlength=self._size).astype(np.float64))
            for each in columns
        )
        wealth = pair_wealth(self._bank, low, high, known)
        return told_apart(wealth) if self._for_good else wealth
