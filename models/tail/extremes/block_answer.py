"""What is asked of a series' block maxima: the law of the largest value of a block.

Nothing is assumed of how values within a block depend on each other, and no threshold is chosen:
the price is that most values are left out. Return periods are in blocks. The blocks' maxima are
taken for draws that do not follow each other: where they do, no interval is claimed.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.excesses import observed_values
from models.tail.extremes.gev import GevFit, block_maxima
from models.tail.extremes.gev_fit import REGULAR_SHAPE, fit_gev
from models.tail.extremes.gev_intervals import (
    GevQuantity,
    block_return_level,
    gev_interval,
    scale,
    shape,
)
from models.tail.extremes.independence import follow_each_other
from models.tail.extremes.profile_intervals import Estimate
from models.tail.extremes.ratios import log1p_ratio

_FEW = 30
# The signed root of the deviance at the true level has a deviation of up to 1.06, not 1, in 1,000
# draws of 60 maxima each from the law itself (shape .2): so much further out lie the ends.
_STRETCH = 1.05
_SHORT = 20  # values a block: in shorter ones the law of maxima is a limit that is far


@dataclass(frozen=True, slots=True)
class BlockQuestion:
    values: ArrayLike
    """In order of time; NaN marks a gap."""
    block: int
    """How many values a block has."""
    threshold_quantile: float = 0.95
    """A value is extreme above the level that so large a share of all blocks stays below."""
    confidence: float = 0.95
    levels: tuple[float, ...] = (0.99, 0.999)
    """Quantiles of the largest value of a block."""
    return_periods: tuple[float, ...] = (100.0, 1000.0)
    """In blocks."""
    judged: float | None = None
    """The value that may be extreme; the latest one when left out."""


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    fit: GevFit
    threshold: float
    judged: float
    is_extreme: bool
    exceedance_probability: float
    """That the largest value of a block exceeds the judged one."""
    scale: Estimate
    shape: Estimate
    value_at_risk: tuple[Estimate, ...]
    return_levels: tuple[Estimate, ...]
    notes: tuple[str, ...]


def answer_blocks(question: BlockQuestion) -> BlockAnswer:
    """Fit the maxima; TrainingDataError says in words why they cannot be."""
    try:
        # What overflows on the way to a fit ends as a place that is not possible, or as no top.
        with np.errstate(all="ignore"):
            return _answer(question)
    except np.linalg.LinAlgError:
        raise TrainingDataError(
            "the likelihood of the block maxima is flat at its top: give a longer series, or "
            "shorter blocks"
        ) from None


def _answer(question: BlockQuestion) -> BlockAnswer:
    seen = observed_values(question.values)
    maxima = block_maxima(question.values, question.block)
    fit = fit_gev(maxima)
    dependent = follow_each_other(maxima)
    confidence = question.confidence if fit.regular and not dependent else None
    periods = [*question.return_periods, *map(_period, question.levels)]
    levels = {period: _interval(fit, block_return_level(period), confidence) for period in periods}
    judged = float(seen[-1]) if question.judged is None else question.judged
    best = np.array([fit.location, fit.scale, fit.shape])
    threshold = block_return_level(_period(question.threshold_quantile))(best).value
    return BlockAnswer(
        fit=fit,
        threshold=threshold,
        judged=judged,
        is_extreme=judged > threshold,
        exceedance_probability=_exceedance(best, judged),
        scale=_interval(fit, scale, confidence),
        shape=_interval(fit, shape, confidence),
        value_at_risk=tuple(levels[_period(level)] for level in question.levels),
        return_levels=tuple(levels[period] for period in question.return_periods),
        notes=tuple(_notes(fit, question.block, dependent=dependent)),
    )


def _period(quantile: float) -> float:
    """Give the blocks in which one exceeds the quantile; .99 is 100, not a last bit less."""
    return round(1 / (1 - quantile), 9)


def _interval(fit: GevFit, quantity: GevQuantity, confidence: float | None) -> Estimate:
    """Give a quantity's interval; open at both ends where none is claimed."""
    if confidence is not None:
        return gev_interval(fit, quantity, _stretched(confidence))
    value = quantity(np.array([fit.location, fit.scale, fit.shape])).value
    return Estimate(value, -math.inf, math.inf)


def _stretched(confidence: float) -> float:
    return float(1 - 2 * ndtr(-_STRETCH * ndtri((1 + confidence) / 2)))


def _exceedance(best: FloatArray, judged: float) -> float:
    centre, spread, bend = best.tolist()
    a = (judged - centre) / spread
    if 1 + bend * a <= 0:
        return 1.0 if bend > 0 else 0.0
    w = a * float(log1p_ratio(np.array(bend * a)))
    return float(-np.expm1(-np.exp(-w)))


def _notes(fit: GevFit, block: int, *, dependent: bool) -> list[str]:
    notes = ["no interval is claimed for the exceedance probability"]
    if fit.maxima.size < _FEW:
        notes.append(
            f"there are only {fit.maxima.size} block maxima: the intervals hold less "
            "often than their confidence says where values are heavy-tailed, and more "
            "often where they are not"
        )
    if block < _SHORT:
        notes.append(
            f"blocks of {block} values are short: their maxima follow the law of extremes "
            "only roughly, and the intervals do not account for that"
        )
    if not fit.regular:
        notes.append(
            f"the fitted shape {fit.shape:.2f} is below {REGULAR_SHAPE}: the law ends close to the "
            "largest value, and no interval is claimed"
        )
    if dependent:
        notes.append(
            "the block maxima depend on each other (a trend, a changing level or a time "
            "of day): no interval is claimed; give blocks that are longer than the "
            "dependence, such as days"
        )
    return notes
