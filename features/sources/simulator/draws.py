"""Randomness by address: the same (seed, owner, purpose, index) always gives the same numbers."""

import hashlib
from functools import lru_cache

import numpy as np

from features.calendars.days import MINUTES_A_DAY
from features.telemetry.columns import Floats

_SMALLEST = 1e-17
_WORD = 1 << 64


def generator(seed: int, owner: str, purpose: str, index: int) -> np.random.Generator:
    """Make a Philox generator keyed by (seed, owner, purpose), far along for each day or week."""
    # Of the counter's four words of 64 bits the index takes the third: each has 2^128 blocks.
    counter = (index % _WORD) << 128
    return np.random.Generator(np.random.Philox(key=_key(seed, owner, purpose), counter=counter))


@lru_cache(maxsize=1024)
def _key(seed: int, owner: str, purpose: str) -> int:
    digest = hashlib.blake2b(f"{seed}\x1f{owner}\x1f{purpose}".encode(), digest_size=16)
    return int.from_bytes(digest.digest(), "big")


def decaying_sum(values: Floats, keep: float) -> Floats:
    """Sum up y[t] = keep * y[t-1] + x[t] from rest, by doubling: log2(n) steps on whole arrays."""
    total, weight, step = values.copy(), keep, 1
    while step < len(total) and weight > _SMALLEST:
        total[step:] += weight * total[:-step]
        weight, step = weight * weight, step * 2
    return total


def wander(seed: int, owner: str, purpose: str, day: int, *, keep: float) -> Floats:
    """Draw a day of an AR(1) process z[t] = keep * z[t-1] + e[t], standard normal at each minute.

    It starts a day before, at rest, so that the days join: what was older has decayed to keep^1440.
    """
    white = np.concatenate(
        [generator(seed, owner, purpose, d).standard_normal(MINUTES_A_DAY) for d in (day - 1, day)]
    )
    wandering: Floats = decaying_sum(white, keep)[MINUTES_A_DAY:] * np.sqrt(1 - keep * keep)
    return wandering
