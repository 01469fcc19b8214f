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
from models.tail.extremes.spot import Spot, SpotSettings, Verdict

_KIND, _VERSION = "dspot", 1


class Dspot:
    """One drifting stream's upper threshold; NaN is a gap and changes nothing."""

    def __init__(
        self,
        first: ArrayLike,
        depth: int,
        settings: SpotSettings = SpotSettings(),  # noqa: B008  frozen
    ) -> None:
        seen = observed_values(first)
        if not 1 <= depth < seen.size:
            raise TrainingDataError(f"a depth of {depth} does not fit {seen.size} first values")
        means = np.convolve(seen, np.full(depth, 1 / depth), mode="valid")[:-1]
        self._recent: FloatArray = seen[-depth:].copy()
        self._spot = Spot(seen[depth:] - means, settings)

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
        dspot = cls.__new__(cls)
        dspot._recent = recent
        dspot._spot = Spot.decode(inner.tobytes())
        return dspot
