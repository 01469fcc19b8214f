"""Splits a finished series into regimes."""

from dataclasses import dataclass, replace

import numpy as np

from models.anomaly.bocpd import RegimeBank, Scale
from models.anomaly.bocpd_settings import BocpdSettings
from models.anomaly.inputs import checked_points
from models.errors import TrainingDataError
from models.protocols import FloatArray, IntArray

_MOST_HYPOTHESES = 1_024  # a longer series is split by the same rule as a stream


@dataclass(frozen=True)
class Segmentation:
    starts: IntArray
    """The first observation of each regime after the first, counted from 0."""
    log_evidence: float
    """How well the model predicted the series, step by step: what settings are compared by."""


def segment(values: FloatArray, settings: BocpdSettings | None = None) -> Segmentation:
    """Split (observations) or (observations, dimensions); it is scaled to sd 1 unless counts."""
    series = series_of(values)
    count, dimensions = series.shape
    chosen = settings or BocpdSettings()
    many = min(count + 2, _MOST_HYPOTHESES)
    bank = RegimeBank(replace(chosen, hypotheses=max(many, 8)), dimensions=dimensions)
    slot = bank.open(_scale(series, chosen))
    answers = bank.advance(np.full(count, slot), series)
    starts, latest = list[int](), count
    while latest >= 1 and answers.segment[latest - 1] > 0:
        start = int(answers.segment[latest - 1])
        if start < count:
            starts.append(start)
        latest = start - 1
    return Segmentation(np.array(starts[::-1], dtype=np.int64), -float(answers.surprise.sum()))


def series_of(values: FloatArray) -> FloatArray:
    """Give (observations, dimensions); TrainingDataError when there are fewer than two."""
    given = np.asarray(values, dtype=np.float64)
    table = given[:, None] if given.ndim == 1 else given
    series = checked_points(table, table.shape[-1], "values")
    if len(series) < 2:  # noqa: PLR2004  one observation has no spread
        raise TrainingDataError(f"{len(series)} observations cannot be split; give at least 2")
    return series


def _scale(series: FloatArray, settings: BocpdSettings) -> Scale:
    mean, sd = series.mean(axis=0), series.std(axis=0, ddof=1)
    if settings.family == "poisson":
        return Scale(np.zeros_like(mean), np.maximum(mean, 1 / len(series)))
    return Scale(mean, np.where(sd > 0, sd, 1.0))
