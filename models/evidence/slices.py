r"""Whether a difference may be that of the keys, and not the candidate's: the randomisation test.

A canary gives each key to an arm at random. So each arm's keys are laid into slices, by a hash too,
of which one arm's has as many keys as the other's on average. If the candidate is exactly as bad as
the margin allows, its slices are like the incumbent's, whatever keys do: differ for good, come in
bursts, drift with the day, repeat themselves. Then which m of all M slices are the candidate's is
a draw without replacement, and of the sum T of what was drawn

    E exp(l T) = e_m(exp(l u_1), ..., exp(l u_M)) / (M over m)

exactly, e_m being the elementary symmetric polynomial, and u_i by how much slice i exceeds what all
have in common. So exp(l T) over its mean is evidence: it is 1/alpha with a probability of at most
alpha (Fisher 1935; Imbens and Rubin, Causal Inference, 2015, chapter 5, on tests that need nothing
but the draw). The best l for a limit of log(1/alpha) is sqrt(2 log(1/alpha)) over T's spread.

This holds for one look. So there are `CHECKS` of them, at numbers of observations that grow by the
square root of two, and each has an equal part of alpha.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import lgamma, log, sqrt
from typing import Any, Self

import numpy as np

from models.evidence.bets import Floats
from models.protocols import BoolArray, IntArray

CHECKS = 40
FIRST_CHECK = 64.0
# Slices of the arm with fewer keys, and of both where that arm has very few of them.
_MOST_OF_AN_ARM, _FEWEST_OF_AN_ARM = 64, 4
_OF_BOTH = 1600

Pair = tuple[float, float]
LOG_CHECKS = log(CHECKS)


@lru_cache(maxsize=16)
def numbers(share: float) -> tuple[int, int]:
    """Give how many slices the incumbent's keys have, and the candidate's."""
    lesser = min(share, 1 - share)
    few = int(np.clip(round(_OF_BOTH * lesser), _FEWEST_OF_AN_ARM, _MOST_OF_AN_ARM))
    many = round(few * (1 - lesser) / lesser)
    return (many, few) if share <= 1 / 2 else (few, many)


def slices_of(keys: Sequence[str], candidate: BoolArray, share: float) -> IntArray:
    """Give each request the number of its key's slice; the incumbent's slices come first."""
    hashes = {key: _hash(key) for key in dict.fromkeys(keys)}
    of_incumbent, of_candidate = numbers(share)
    return np.array(
        [
            of_incumbent + hashes[key] % of_candidate if arm else hashes[key] % of_incumbent
            for key, arm in zip(keys, candidate.tolist(), strict=True)
        ],
        dtype=np.int64,
    )


class Slices:
    """What was seen of each slice: how many values of each kind."""

    def __init__(self, share: float, kinds: int) -> None:
        of_incumbent, of_candidate = numbers(share)
        self.candidate = np.arange(of_incumbent + of_candidate) >= of_incumbent
        self.counts = np.zeros((self.candidate.size, kinds))
        self._checks = self._passed = 0

    def add(self, slices: IntArray, kinds: IntArray, weights: Floats) -> None:
        np.add.at(self.counts, (slices, kinds), weights)

    @property
    def next_check(self) -> float:
        """The number of observations of both arms at which there is another check."""
        return float(FIRST_CHECK * 2 ** (self._passed / 2))

    def due(self) -> bool:
        """Tell whether it is time for a check, which counts as made."""
        seen = self.counts.sum()
        if self._checks == CHECKS or seen < self.next_check:
            return False
        self._checks += 1
        while self.next_check <= seen:
            self._passed += 1
        return True

    def excess_of_rate(self, margin: float) -> Floats:
        """Give by how much each slice exceeds the rate of all, the candidate's less the margin."""
        size = self.counts.sum(axis=1)
        hits = self.counts[:, 1] - margin * size * self.candidate
        return _centred(hits, size)

    @property
    def checked(self) -> bool:
        """Whether there was a check yet."""
        return self._checks > 0

    def excess_of_quantile(self, p: float) -> Floats:
        """Give by how much each slice exceeds the quantile of all."""
        above = self._above()
        kind = 1 + int(np.argmin(np.abs(above[1:] - (1 - p) * above[0])))
        return _centred(self.counts[:, kind:].sum(axis=1), self.counts.sum(axis=1))

    def sees_quantile(self, p: float) -> bool:
        """Tell whether the quantile of all is between the outermost thresholds."""
        above = self._above()
        return bool(above[-1] < (1 - p) * above[0] < above[1])

    def _above(self) -> Floats:
        """Count for each kind the values of it and of all higher ones."""
        above: Floats = self.counts.sum(axis=0)[::-1].cumsum()[::-1]
        return above

    def log_evidence(self, excess: Floats, needed: Pair) -> Pair:
        """Give the logarithms of the evidence that the candidate's slices are higher, and lower."""
        seen = self.counts.sum(axis=1) > 0
        u, candidate = excess[seen], self.candidate[seen]
        drawn = int(candidate.sum())
        if not 0 < drawn < u.size or not u.any():
            return 0.0, 0.0
        total = float(u[candidate].sum())
        spread = float(u.std()) * sqrt(drawn * (u.size - drawn) / (u.size - 1))
        bets = [sqrt(2 * limit) / spread for limit in needed]
        return (
            bets[0] * total - _log_mean(bets[0] * u, drawn),
            -bets[1] * total - _log_mean(-bets[1] * u, drawn),
        )

    def to_json(self) -> dict[str, Any]:
        flat = self.counts.ravel()
        return {
            "counts": {str(at): float(flat[at]) for at in np.flatnonzero(flat)},
            "checks": self._checks,
            "passed": self._passed,
        }

    def restore(self, kept: dict[str, Any]) -> Self:
        self.counts = np.zeros_like(self.counts)
        flat = self.counts.reshape(-1)
        for at, count in kept["counts"].items():
            flat[int(at)] = count
        self._checks, self._passed = kept["checks"], kept["passed"]
        return self


def _centred(hits: Floats, size: Floats) -> Floats:
    total = size.sum()
    centred: Floats = hits - (hits.sum() / total if total else 0.0) * size
    return centred


def _log_mean(exponents: Floats, drawn: int) -> float:
    """Give the logarithm of the mean of exp(sum of what is drawn) over all draws."""
    if 2 * drawn > exponents.size:  # what is left is drawn as well, and quicker to go through
        everything = float(exponents.sum())
        return everything + _log_mean(-exponents, exponents.size - drawn)
    sums = np.full(drawn + 1, -np.inf)  # by how many were drawn of those gone through
    sums[0] = 0.0
    for exponent in exponents.tolist():
        sums[1:] = np.logaddexp(sums[1:], sums[:-1] + exponent)
    size = exponents.size
    draws = lgamma(size + 1) - lgamma(drawn + 1) - lgamma(size - drawn + 1)
    return float(sums[drawn]) - draws


def _hash(key: str) -> int:
    # Another hash than the rollout's, which says by itself which arm a key has.
    return int.from_bytes(blake2b(key.encode(), digest_size=8, person=b"slices").digest())
