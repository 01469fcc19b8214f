"""SPOT for streams that drift: the last values' mean is taken off before judging (DSPOT).

Siffer et al. 2017, section 4.4. The mean runs over the last `depth` values that raised no alarm,
so that an outlier does not lift the level for those after it.
"""

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.online import frame
from models.protocols import FloatArray
from models.tail.extremes.excesses import observed_values
from models.tail.extremes.spot import DEFAULTS, Spot, SpotSettings, Verdict

_KIND, _VERSION = "dspot", 1


class Dspot:
    """One drifting stream's upper threshold; NaN is a gap and changes nothing."""

    def __init__(self, recent: FloatArray, spot: Spot) -> None:
        self._recent = recent
        self._spot = spot

    @classmethod
    def started(cls, first: ArrayLike, depth: int, settings: SpotSettings = DEFAULTS) -> Self:
        """Start from a first batch; TrainingDataError when it is too small or has no tail."""
        seen = observed_values(first)
        if not 1 <= depth < seen.size:
            raise TrainingDataError(f"a depth of {depth} does not fit {seen.size} first values")
        means = np.convolve(seen, np.full(depth, 1 / depth), mode="valid")[:-1]
        return cls(seen[-depth:].copy(), Spot.started(seen[depth:] - means, settings))

    @property
    def mean(self) -> float:
        return float(self._recent.mean())

    @property
    def level(self) -> float:
        """What the next value must pass to raise an alarm."""
        return self.mean + self._spot.level

    def observe(self, value: float) -> Verdict:
        mean = self.mean
        verdict = self._spot.observe(value - mean)
        if math.isfinite(value) and not verdict.alarm:
            self._recent = np.append(self._recent[1:], value)
        return verdict._replace(level=mean + verdict.level)

    def encode(self) -> bytes:
        inner = np.frombuffer(self._spot.encode(), np.uint8)
        return frame.pack(_KIND, _VERSION, [self._recent, inner])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Resume what `encode` left, to the bit."""
        recent, inner = frame.unpack(_KIND, _VERSION, data)
        return cls(recent, Spot.decode(inner.tobytes()))
