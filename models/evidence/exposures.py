"""Checks that keys were shared out as stated: the sample ratio, and keys that both arms answered.

Both look at a random sample of keys, those with the smallest hashes, so that memory is bounded and
a busy key counts once. Up to `MOST_KEYS` keys it is all of them. A key that is found with both arms
is one; one that is not in the sample is missed.

A ratio that is not as stated says that requests of one arm are lost or counted twice, and then no
comparison of the arms means anything (Fabijan et al., Diagnosing sample ratio mismatch, KDD 2019).
"""

import heapq
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from models.evidence.bets import one_arm

MOST_KEYS = 4096


class Exposures:
    """Which arm answered a key first."""

    def __init__(self, share: float) -> None:
        self._banks = one_arm(share, 1), one_arm(share, -1)
        self.first_seen = [0, 0]  # by arm
        self.seen_by_both = 0
        self._arm_of: dict[int, int] = {}
        self._largest: list[int] = []  # a heap of the hashes, turned around
        self._ceiling = 1 << 64

    def add(self, keys: Sequence[str], candidate: Iterable[bool]) -> None:
        for key, arm in dict.fromkeys(zip(keys, candidate, strict=True)):
            self._see(_hash(key), int(arm))

    def _see(self, hashed: int, arm: int) -> None:
        if hashed >= self._ceiling:
            return
        known = self._arm_of.get(hashed)
        if known is None:
            self._arm_of[hashed] = arm
            self.first_seen[arm] += 1
            heapq.heappush(self._largest, -hashed)
            self._drop_the_largest()
        elif known not in {arm, _BOTH}:
            self._arm_of[hashed] = _BOTH
            self.seen_by_both += 1

    def _drop_the_largest(self) -> None:
        if len(self._arm_of) > MOST_KEYS:
            self._ceiling = -heapq.heappop(self._largest)
            del self._arm_of[self._ceiling]

    def too_many_by_both(self, most: float) -> bool:
        """Tell whether both arms answered more than this share of the keys that were seen."""
        return self.seen_by_both > most * sum(self.first_seen)

    def candidates_keys(self) -> float:
        """Tell about how many keys the candidate answered; exactly, up to `MOST_KEYS` of both."""
        found = sum(arm != 0 for arm in self._arm_of.values())
        return found * ((1 << 64) / self._ceiling)

    def log_evidence(self) -> float:
        """Give the logarithm of the evidence against the stated share."""
        incumbent, candidate = self.first_seen
        counts = np.array([candidate, incumbent], dtype=np.float64)
        more, fewer = (float(bank.log_wealth(counts)) for bank in self._banks)
        return float(np.logaddexp(more, fewer) - np.log(2))

    def to_json(self) -> dict[str, Any]:
        return {
            "first_seen": self.first_seen,
            "seen_by_both": self.seen_by_both,
            "ceiling": f"{self._ceiling:x}",
            "arm_of": {f"{hashed:x}": arm for hashed, arm in self._arm_of.items()},
        }

    def restore(self, kept: dict[str, Any]) -> Self:
        self.first_seen, self.seen_by_both = list(kept["first_seen"]), kept["seen_by_both"]
        self._ceiling = int(kept["ceiling"], 16)
        self._arm_of = {int(hashed, 16): arm for hashed, arm in kept["arm_of"].items()}
        self._largest = [-hashed for hashed in self._arm_of]
        heapq.heapify(self._largest)
        return self


_BOTH = 2


def _hash(key: str) -> int:
    # Another hash than the rollout's, which says by itself which arm a key has.
    return int.from_bytes(blake2b(key.encode(), digest_size=8, person=b"exposures").digest())
