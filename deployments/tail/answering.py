"""A batch asked of a tail model: numbers throughout, and NaN for a row that it cannot take.

The stage answers by it, and so does whoever asks a model again about what was recorded.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from deployments.runtime.batch import Columns, Detail, FloatArray
from models.errors import ModelError
from models.needs import TAIL
from models.protocols import QuantileModel
from models.tail.inputs import BOUNDS
from models.tail.plan import ACTIONS
from models.tail.resolution import BEGIN, END

# Within the bounds of every column.
ORDINARY = 1.0
_CODES = {action: code for code, action in enumerate(ACTIONS)}

log = logging.getLogger(__name__)


def answer_rows(
    model: QuantileModel, columns: Columns, entities: list[str] | None = None
) -> Columns:
    """Predict; a row that the model cannot take gets NaN, which safety turns into the fallback."""
    good = answerable(columns)
    if not good.all():  # the row's place is kept by an ordinary one, and its answer then struck out
        columns = {name: np.where(good, columns[name], ORDINARY) for name in BOUNDS}
    try:
        answers = numbers(model.predict(columns, entities))
    except ModelError:
        log.exception("The model refused a batch, and the fallback answers it")
        return {}
    if not good.all():
        answers = {name: np.where(good, column, np.nan) for name, column in answers.items()}
    return answers


def numbers(answers: dict[str, npt.NDArray[Any]]) -> Columns:
    """Turn every column into floats: what travels, and what safety judges, are numbers."""
    codes = np.array([_CODES[action] for action in answers["action"].tolist()], dtype=np.float64)
    return {
        name: codes if name == "action" else column.astype(np.float64, copy=False)
        for name, column in answers.items()
    }


def answerable(columns: Columns) -> npt.NDArray[np.bool_]:
    """Say which rows lie within what the model takes; comparisons with NaN are false.

    What it can do without may be missing.
    """
    within = [
        (columns[name] >= bounds.low) & (columns[name] <= bounds.high)
        | (np.isnan(columns[name]) & (name in TAIL.can_do_without))
        for name, bounds in BOUNDS.items()
    ]
    good: npt.NDArray[np.bool_] = np.logical_and.reduce(within)
    return good


def bounded_details(
    columns: Columns, slo_ms: FloatArray, entities: Sequence[str]
) -> list[Detail | None]:
    """Say what is known of rows whose entity lies within one bucket of its histogram.

    The others have None. What nobody can know is taken back.
    """
    begins, ends = columns[BEGIN].tolist(), columns[END].tolist()
    rows = zip(entities, slo_ms.tolist(), begins, ends, strict=True)
    return [_detail(*row) if math.isfinite(row[-1]) else None for row in rows]


def _detail(entity: str, slo_ms: float, begin: float, end: float) -> Detail:
    reason = (
        f"Most intervals of {entity} lie within one bucket of its histogram, {begin:.3g} to "
        f"{end:.3g} ms: latencies are bounds, and so is what is over them"
    )
    if not begin < slo_ms < end:
        return {"meta": {"bounds_reason": reason}}
    unknown = f"{reason}. How many requests take longer than {slo_ms:g} ms is not known"
    return {"data": {"breach_probability": None}, "meta": {"bounds_reason": unknown}}
