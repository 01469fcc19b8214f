"""What is asked of a series' block maxima: the law of the largest value of a block.

Nothing is assumed of how values within a block depend on each other, and no threshold is chosen:
the price is that most values are left out. Return periods are in blocks.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

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
from models.tail.extremes.profile_intervals import Estimate
from models.tail.extremes.ratios import log1p_ratio

_FEW = 30


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
    fit = fit_gev(block_maxima(question.values, question.block))
    periods = [*question.return_periods, *map(_period, question.levels)]
    levels = {period: _interval(fit, block_return_level(period), question) for period in periods}
    judged = float(seen[-1]) if question.judged is None else question.judged
    best = np.array([fit.location, fit.scale, fit.shape])
    threshold = block_return_level(_period(question.threshold_quantile))(best).value
    return BlockAnswer(
        fit=fit,
        threshold=threshold,
        judged=judged,
        is_extreme=judged > threshold,
        exceedance_probability=_exceedance(best, judged),
        scale=_interval(fit, scale, question),
        shape=_interval(fit, shape, question),
        value_at_risk=tuple(levels[_period(level)] for level in question.levels),
        return_levels=tuple(levels[period] for period in question.return_periods),
        notes=tuple(_notes(fit)),
    )


def _period(quantile: float) -> float:
    """Give the blocks in which one exceeds the quantile; .99 is 100, not a last bit less."""
    return round(1 / (1 - quantile), 9)


def _interval(fit: GevFit, quantity: GevQuantity, question: BlockQuestion) -> Estimate:
    if fit.regular:
        return gev_interval(fit, quantity, question.confidence)
    value = quantity(np.array([fit.location, fit.scale, fit.shape])).value
    return Estimate(value, -math.inf, math.inf)


def _exceedance(best: FloatArray, judged: float) -> float:
    centre, spread, bend = best.tolist()
    a = (judged - centre) / spread
    if 1 + bend * a <= 0:
        return 1.0 if bend > 0 else 0.0
    w = a * float(log1p_ratio(np.array(bend * a)))
    return float(-np.expm1(-np.exp(-w)))


def _notes(fit: GevFit) -> list[str]:
    notes = ["no interval is claimed for the exceedance probability"]
    if fit.maxima.size < _FEW:
        notes.append(
            f"only {fit.maxima.size} block maxima: the intervals hold less often than they say"
        )
    if not fit.regular:
        notes.append(
            f"the fitted shape {fit.shape:.2f} is below {REGULAR_SHAPE}: the law ends close to the "
            "largest value, and no interval is claimed"
        )
    return notes
