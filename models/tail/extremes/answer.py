"""Everything that is asked of extreme events, for a whole batch of series at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from models.errors import TrainingDataError
from models.protocols import FloatArray
from models.tail.extremes.dependence import declustered
from models.tail.extremes.deviance_roots import log_rate_change
from models.tail.extremes.excesses import Excesses, excesses_over, observed_values
from models.tail.extremes.gpd import GpdFit
from models.tail.extremes.gpd_fit import REGULAR_SHAPE, fit_gpds
from models.tail.extremes.profile_intervals import Estimate, intervals
from models.tail.extremes.quantity import (
    SCALE,
    SHAPE,
    Quantity,
    conditional_value_at_risk,
    exceedance,
    return_level,
    value_at_risk,
)
from models.tail.extremes.threshold import choose_threshold

MOST_SHAPE = 5.0
"""No quantity has a heavier tail; numbers that seem to are on the wrong scale."""

_FEW = 50


@dataclass(frozen=True, slots=True)
class TailQuestion:
    values: ArrayLike
    """In order of time; NaN marks a gap."""
    threshold_quantile: float | None = 0.95
    """None leaves the threshold to the rule of `threshold.choose_threshold`."""
    confidence: float = 0.95
    levels: tuple[float, ...] = (0.99, 0.999)
    """Of value at risk and conditional value at risk."""
    return_periods: tuple[float, ...] = (100.0, 1000.0)
    """In observations."""
    judged: float | None = None
    """The value that may be extreme; the latest one when left out."""
    dependent: bool = False
    """Whether exceedances come in clusters: one peak of each is then fitted."""


@dataclass(frozen=True, slots=True)
class TailAnswer:
    fit: GpdFit
    judged: float
    is_extreme: bool
    exceedance_probability: Estimate
    """Of the judged value."""
    shape: Estimate
    scale: Estimate
    value_at_risk: tuple[Estimate, ...]
    conditional_value_at_risk: tuple[Estimate, ...]
    return_levels: tuple[Estimate, ...]
    extremal_index: float
    """Independent events an exceedance; 1 unless the question said `dependent`."""
    notes: tuple[str, ...]
    """In words, what a reader of the numbers must know."""


@dataclass(frozen=True, slots=True)
class _Row:
    question: TailQuestion
    seen: FloatArray
    sample: Excesses
    judged: float

    @property
    def is_extreme(self) -> bool:
        return self.judged > self.sample.threshold


def answer_tails(questions: Sequence[TailQuestion]) -> list[TailAnswer | TrainingDataError]:
    """Answer each question, or say in its place why it cannot be answered.

    An answer is the same to the bit whatever others are asked with it.
    """
    answers: dict[int, TailAnswer | TrainingDataError] = {}
    rows: dict[int, _Row] = {}
    for place, question in enumerate(questions):
        try:
            rows[place] = _row(question)
        except TrainingDataError as refusal:
            answers[place] = refusal
    fits = fit_gpds([row.sample for row in rows.values()])
    for place, fit in list(zip(rows, fits, strict=True)):
        if _is_too_heavy(fit):
            answers[place] = _too_heavy(fit)
            del rows[place]
    fits = [fit for fit in fits if not _is_too_heavy(fit)]
    estimates = intervals(
        fits,
        [_quantities(row) for row in rows.values()],
        [row.question.confidence for row in rows.values()],
    )
    for place, fit, found in zip(rows, fits, estimates, strict=True):
        answers[place] = _answer(rows[place], fit, found)
    return [answers[place] for place in range(len(questions))]


def _row(question: TailQuestion) -> _Row:
    if not 0 < question.confidence < 1:
        raise TrainingDataError(f"confidence {question.confidence} is not between 0 and 1")
    seen = observed_values(question.values)
    threshold = _threshold(question, seen)
    if question.dependent:
        sample = declustered(question.values, threshold)
    else:
        sample = excesses_over(seen, threshold)
    judged = float(seen[-1]) if question.judged is None else question.judged
    row = _Row(question, seen, sample, judged)
    _quantities(row)  # refuses what cannot be asked while the other rows can still be answered
    return row


def _threshold(question: TailQuestion, seen: FloatArray) -> float:
    quantile = question.threshold_quantile
    if quantile is None:
        return choose_threshold(seen).threshold
    if not 0 < quantile < 1:
        raise TrainingDataError(f"threshold quantile {quantile} is not between 0 and 1")
    return float(np.quantile(seen, quantile))


def _quantities(row: _Row) -> list[Quantity]:
    question = row.question
    asked = [
        SHAPE,
        SCALE,
        *map(value_at_risk, question.levels),
        *map(conditional_value_at_risk, question.levels),
        *map(return_level, question.return_periods),
        exceedance(row.judged),
    ]
    return asked if row.is_extreme else asked[:-1]


def _answer(row: _Row, fit: GpdFit, found: list[Estimate]) -> TailAnswer:
    levels, periods = len(row.question.levels), len(row.question.return_periods)
    shape, scale, *others = found
    at_risk, beyond = tuple(others[:levels]), tuple(others[levels : 2 * levels])
    returning = tuple(others[2 * levels : 2 * levels + periods])
    return TailAnswer(
        fit=fit,
        judged=row.judged,
        is_extreme=row.is_extreme,
        exceedance_probability=others[-1] if row.is_extreme else _counted(row),
        shape=shape,
        scale=scale,
        value_at_risk=at_risk,
        conditional_value_at_risk=beyond,
        return_levels=returning,
        extremal_index=1 / row.sample.cluster_size,
        notes=tuple(_notes(fit, [*at_risk, *beyond, *returning])),
    )


def _is_too_heavy(fit: GpdFit) -> bool:
    # Above -1/2 a fit is irregular only where the likelihood still rose at the search's far end.
    endless = not fit.regular and fit.shape > REGULAR_SHAPE
    return fit.shape > MOST_SHAPE or endless


def _too_heavy(fit: GpdFit) -> TrainingDataError:
    threshold, largest = fit.sample.threshold, fit.sample.threshold + fit.sample.excess[-1]
    return TrainingDataError(
        f"the values over {threshold:g}, up to {largest:g}, are spread too widely for any "
        f"tail (the largest shape accepted is {MOST_SHAPE:g}): send their logarithms, or "
        "leave out values that are not measurements"
    )


def _counted(row: _Row) -> Estimate:
    """Below the threshold the share of higher values speaks for itself."""
    size = row.sample.cluster_size  # as many values count as one
    above, observed = float(np.count_nonzero(row.seen > row.judged)) / size, row.seen.size / size
    allowance = float(ndtri((1 + row.question.confidence) / 2) ** 2)
    if above == observed:
        return Estimate(1.0, math.exp(-allowance / (2 * observed)), 1.0)
    root = np.sqrt(allowance) * np.array([-1.0, 1.0])
    change = log_rate_change(root, np.array(above), np.array(observed))
    lower, upper = (above / observed * np.exp(change)).tolist()
    return Estimate(above / observed, lower, upper)


def _notes(fit: GpdFit, estimates: list[Estimate]) -> list[str]:
    count = fit.sample.excess.size
    notes = []
    if count < _FEW:
        notes.append(
            f"only {count} peaks are over the threshold: the intervals hold less often than their "
            "confidence says"
        )
    if not fit.regular:
        notes.append(
            f"the fitted shape {fit.shape:.2f} is below {REGULAR_SHAPE}: the law ends close to the "
            "largest value, and the intervals are approximate"
        )
    if any(math.isnan(estimate.value) for estimate in estimates):
        notes.append("a requested level is below the threshold: read it from the values")
    if any(math.isinf(estimate.upper) for estimate in estimates):
        notes.append("a shape of 1 is possible: the mean beyond the value at risk may be infinite")
    return notes
