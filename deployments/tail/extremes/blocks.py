"""Block maxima as they are served: a row's answer in the terms that all extremes are told in."""

import numpy as np

from deployments.runtime.batch import Detail, FloatArray
from deployments.tail.extremes.estimates import (
    LEVELS,
    Fitted,
    at_levels,
    at_periods,
    at_risk,
    interval,
    refused,
)
from deployments.tail.extremes.operations import FitBlocks
from models.errors import TrainingDataError
from models.tail.extremes.block_answer import BlockAnswer, BlockQuestion, answer_blocks

MODEL = "tail/block-maxima"


def fit_blocks(ask: FitBlocks, values: FloatArray) -> Fitted:
    question = BlockQuestion(
        values=values,
        block=ask["block"],
        threshold_quantile=ask["threshold_quantile"],
        confidence=ask["confidence"],
        levels=LEVELS,
        return_periods=tuple(ask["return_periods"]),
        judged=ask["judged"],
    )
    try:
        found = answer_blocks(question)
    except TrainingDataError as why:
        return {"refusal": refused(str(why), ask)}
    return {"numbers": _numbers(found), "detail": _detail(found, ask)}


def _numbers(found: BlockAnswer) -> dict[str, float]:
    return {
        "threshold": found.threshold,
        "scale": found.scale.value,
        "exceedance_probability": found.exceedance_probability,
        **at_risk(found.value_at_risk[0]),
    }


def _detail(found: BlockAnswer, ask: FitBlocks) -> Detail:
    data = {
        "is_extreme": found.is_extreme,
        "judged": found.judged,
        "shape": found.shape.value,
        "shape_interval": interval(found.shape),
        "scale_interval": interval(found.scale),
        "exceedance_interval": {"lower": None, "upper": None},
        "var": at_levels(found.value_at_risk),
        "cvar": [],
        "return_levels": at_periods(ask["return_periods"], found.return_levels),
        "extremal_index": None,
        "exceedances": int(np.count_nonzero(found.fit.maxima > found.threshold)),
        "location": found.fit.location,
        "blocks": int(found.fit.maxima.size),
        "notes": list(found.notes),
    }
    return {"data": data, "interval": {"level": ask["confidence"]}, "meta": {"model": MODEL}}
