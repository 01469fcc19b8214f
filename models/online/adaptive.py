"""Intervals that keep their coverage through drift: adaptive conformal inference.

Gibbs and Candes, Adaptive conformal inference under distribution shift, NeurIPS 2021. Instead of
the nominal share alpha, an interval leaves out the share alpha_t of the latest scores, and each
outcome moves it:

    alpha_{t+1} = alpha_t + gamma (alpha - missed_t).

Summed up, misses differ from their nominal number by the change of alpha_t over gamma, whatever the
data do. So a larger gamma holds the coverage of short stretches tighter, and makes the widths
restless: at alpha / 2 a stretch of 200 outcomes at level .9 strays by 1.3 misses (standard
deviation), where exact intervals that do not look back stray by 4.2, and widths are 7 % above the
exact ones. The window of scores takes up what is lasting. alpha_t is kept under .7, so that a
quiet spell cannot run up a debt of misses, and over -1, so that a storm cannot run up one of
widths.
"""

import math
from dataclasses import astuple, dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from models.conformal import widen
from models.errors import CalibrationError
from models.online import frame
from models.online.coverage import Coverage, counted
from models.online.score_quantile import score_quantile
from models.protocols import FloatArray

_KIND, _VERSION = "adaptive", 1
_LOWEST, _HIGHEST = -1.0, 0.7
_LEAST_LEVEL = 0.5


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    level: float = 0.9
    rate: float = 0.5
    """gamma over alpha: how much of the nominal share of misses one outcome may move."""
    window: int = 200
    """How many of the latest scores are kept."""
    recent: int = 200
    """Over how many of the latest outcomes coverage is watched."""

    def __post_init__(self) -> None:
        fine = _LEAST_LEVEL < self.level < 1 and 0 < self.rate < math.inf
        if not fine or min(self.window, self.recent) < 1:
            raise CalibrationError(
                f"{self} is not valid: a level must be between {_LEAST_LEVEL} and 1, and all "
                "other settings above 0"
            )


class AdaptiveInterval:
    """One key's state. Scores are CQR's: how far the truth lies outside the base interval."""

    def __init__(
        self,
        settings: AdaptiveSettings = AdaptiveSettings(),
        scores: ArrayLike = (),
    ) -> None:
        self.settings = settings
        self.share = 1 - settings.level
        """alpha_t."""
        self._scores = _finite(np.asarray(scores, dtype=np.float64))[-settings.window :]
        self._recent = np.zeros(0, dtype=np.bool_)
        self._outcomes, self._covered = 0, 0
        self.offset = self._offset()
        """By how much both ends of the next base interval are to be moved out."""

    @property
    def calibrated(self) -> bool:
        """Whether there are scores enough for a conformal quantile at the level."""
        return (self._scores.size + 1) * (1 - self.settings.level) >= 1 - 1e-9

    @property
    def coverage(self) -> Coverage:
        return counted(self.settings.level, self._outcomes, self._covered, self._recent)

    def interval(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Move base intervals out by the offset; asking changes nothing."""
        return widen(lower, upper, self.offset)

    def observe(
        self,
        score: float,
        *,
        issued: float | None = None,
        weight: float = 1.0,
        given: bool = True,
    ) -> bool:
        """Learn from an outcome; answers whether the interval held it.

        `issued` is the offset that its interval had, when that was not the present one. Outcomes
        that come many at a time, or long after their intervals, take a weight under 1: about 1 over
        their number. A score that is not finite is a gap and changes nothing. Coverage counts what
        somebody was given: an interval that was withheld teaches, and counts nowhere.
        """
        held = bool(score <= (self.offset if issued is None else issued))
        if not np.isfinite(score):
            return held
        if given:
            self._count(held)
        self._scores = np.append(self._scores, score)[-self.settings.window :]
        alpha = 1 - self.settings.level
        moved = self.share + self.settings.rate * alpha * weight * (alpha - (not held))
        self.share = min(max(moved, _LOWEST), _HIGHEST)
        self.offset = self._offset()
        return held

    def _count(self, held: bool) -> None:
        self._outcomes += 1
        self._covered += held
        self._recent = np.append(self._recent, held)[-self.settings.recent :]

    def drop_scores_beyond(self, furthest: float) -> None:
        """Forget scores that no outcome can have, and the gaps with them."""
        self._scores = self._scores[np.abs(self._scores) <= furthest]
        self.offset = self._offset()

    def encode(self) -> bytes:
        numbers = np.array([*astuple(self.settings), self.share])
        counts = np.array([self._outcomes, self._covered])
        return frame.pack(_KIND, _VERSION, [numbers, counts, self._scores, self._recent])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Resume what `encode` left, to the bit."""
        numbers, counts, scores, recent = frame.unpack(_KIND, _VERSION, data)
        level, rate, window, latest, share = numbers.tolist()
        state = cls(AdaptiveSettings(level, rate, int(window), int(latest)), scores)
        state.share, state._recent = share, recent
        state._outcomes, state._covered = counts.tolist()
        state.offset = state._offset()
        return state

    def _offset(self) -> float:
        if self._scores.size == 0:
            return 0.0
        return score_quantile(np.sort(self._scores), self.share)


def _finite(scores: FloatArray) -> FloatArray:
    return scores[np.isfinite(scores)]
