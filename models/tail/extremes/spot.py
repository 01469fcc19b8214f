"""A threshold that keeps up with a stream: SPOT.

Siffer, Fouque, Termier and Largouet, Anomaly detection in streams with extreme value theory, KDD
2017. From a first batch come a threshold t (a high quantile) and a generalised Pareto fit of the
excesses over it; z is the level that a value exceeds with probability `risk`. A value over z is an
alarm and teaches nothing; one between t and z is a peak, and the tail is fitted again; others only
count. Memory is bounded: the last `most_peaks` peaks are kept.

As alarms teach nothing, the tail is learned without its own end, and from few peaks at first: on
independent values from 2,000 first ones we measured two to three times the alarms asked for at a
risk of 1e-3, and two to ten times at 1e-4. That is the published algorithm's price for not
learning from anomalies; where the rate itself matters, ask for less, or fit a window afresh.
"""

import math
from dataclasses import astuple, dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from models.errors import TrainingDataError
from models.online import frame
from models.protocols import FloatArray
from models.tail.extremes.excesses import FEWEST, Excesses, from_peaks, observed_values
from models.tail.extremes.gpd_fit import fit_gpd
from models.tail.extremes.ratios import expm1_ratio

_KIND, _VERSION = "spot", 1


@dataclass(frozen=True, slots=True)
class SpotSettings:
    risk: float = 1e-4
    """The probability that an ordinary value raises an alarm."""
    quantile: float = 0.98
    """Of the first batch: the threshold that peaks exceed."""
    most_peaks: int = 1_000

    def __post_init__(self) -> None:
        if not 0 < self.risk < 1 - self.quantile < 1 or self.most_peaks < FEWEST:
            raise TrainingDataError(
                f"{self} asks the impossible: give 0 < risk < 1 - quantile < 1 and room for "
                f"{FEWEST} peaks"
            )


DEFAULTS = SpotSettings()


class Verdict(NamedTuple):
    alarm: bool
    peak: bool
    level: float
    """The z that the value was judged by."""


class Spot:
    """One stream's upper threshold; NaN is a gap and changes nothing."""

    def __init__(
        self,
        settings: SpotSettings,
        threshold: float,
        seen: tuple[int, int],
        peaks: FloatArray,
        tail: tuple[float, float] | None = None,
    ) -> None:
        """Take the values seen and those above the threshold, the latest peaks, and their fit."""
        self.settings = settings
        self.threshold = threshold
        self.observed, self.exceeded = seen
        self._peaks = peaks[-settings.most_peaks :]
        self.scale, self.shape = tail or self._fit()
        self.level = self._level()
        """What the next value must pass to raise an alarm."""

    @classmethod
    def started(cls, first: ArrayLike, settings: SpotSettings = DEFAULTS) -> Self:
        """Start from a first batch; TrainingDataError when it is too small or has no tail."""
        seen = observed_values(first)
        threshold = float(np.quantile(seen, settings.quantile))
        above = seen[seen > threshold]
        exceeded = from_peaks(above, threshold, seen.size).exceeded
        return cls(settings, threshold, (seen.size, exceeded), above - threshold)

    def observe(self, value: float) -> Verdict:
        level = self.level
        if value > level:
            return Verdict(alarm=True, peak=False, level=level)
        if not math.isfinite(value):
            return Verdict(alarm=False, peak=False, level=level)
        self.observed += 1
        peak = value > self.threshold
        if peak:
            self.exceeded += 1
            kept = np.append(self._peaks, value - self.threshold)
            self._peaks = kept[-self.settings.most_peaks :]
            self.scale, self.shape = self._fit()
        self.level = self._level()
        return Verdict(alarm=False, peak=peak, level=level)

    def encode(self) -> bytes:
        numbers = [*astuple(self.settings), self.threshold, self.scale, self.shape]
        counts = [self.observed, self.exceeded]
        return frame.pack(_KIND, _VERSION, [np.array(numbers), np.array(counts), self._peaks])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Resume what `encode` left, to the bit."""
        numbers, counts, peaks = frame.unpack(_KIND, _VERSION, data)
        risk, quantile, most_peaks, threshold, scale, shape = numbers.tolist()
        settings = SpotSettings(risk, quantile, int(most_peaks))
        observed, exceeded = counts.tolist()
        return cls(settings, threshold, (observed, exceeded), peaks, (scale, shape))

    def _fit(self) -> tuple[float, float]:
        peaks: FloatArray = np.sort(self._peaks)
        fit = fit_gpd(Excesses(self.threshold, peaks, self.observed, peaks.size))
        return fit.scale, fit.shape

    def _level(self) -> float:
        odds = math.log(self.exceeded / (self.observed * self.settings.risk))
        grown = float(expm1_ratio(np.array(self.shape * odds)))
        return self.threshold + max(self.scale * odds * grown, 0.0)
