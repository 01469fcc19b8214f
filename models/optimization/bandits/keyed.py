"""Random numbers by key: a row draws the same ones whatever batch it rides in.

Draw j of a key is the j-th output of SplitMix64 seeded with it (Steele, Lea and Flood, Fast
Splittable Pseudorandom Number Generators, OOPSLA 2014). Integer arithmetic only, so that every
machine agrees to the bit.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from models.protocols import FloatArray

KeyArray = NDArray[np.uint64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_KEPT = 52  # bits of a uniform: with one more, the largest would round up to 1


def keys_of(ids: Sequence[str], salt: str = "") -> KeyArray:
    """Key each row by its decision's id, so that a retried request is decided the same way."""
    digests = (blake2b(each.encode(), digest_size=8, key=salt.encode()[:64]) for each in ids)
    return np.frombuffer(b"".join(each.digest() for each in digests), "<u8").astype(np.uint64)


def uniforms(keys: KeyArray, draws: int) -> FloatArray:
    """Draw so many uniforms a key, strictly between 0 and 1, a row a key."""
    steps = np.arange(1, draws + 1, dtype=np.uint64) * _GOLDEN
    bits = _mixed(keys.astype(np.uint64)[:, None] + steps)
    whole: FloatArray = (bits >> np.uint64(64 - _KEPT)).astype(np.float64)
    return (whole + 0.5) * 2.0**-_KEPT


def _mixed(state: KeyArray) -> KeyArray:
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    mixed: KeyArray = state ^ (state >> np.uint64(31))
    return mixed
