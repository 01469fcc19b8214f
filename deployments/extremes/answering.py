"""A batch of questions about extremes, each answered or refused in words."""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from deployments.batch import Batch, Columns, Detail, FloatArray, Prediction, Refusal
from deployments.extremes.metrics import Wanted
from models.errors import ModelError, TrainingDataError
from models.tail.extremes.answer import TailAnswer, TailQuestion, answer_tails
from models.tail.extremes.profile_intervals import Estimate

MODEL = "tail/peaks-over-threshold"
COLUMNS = ("threshold", "scale", "exceedance_probability", "value_at_risk", "lower", "upper")
LEVELS = (0.99, 0.999)
MOST_FITS = 2048
# An end that the likelihood leaves open is told as this far, and as open in the notes.
FARTHEST = 1e300


Found = TailAnswer | TrainingDataError


def wanted_of(batch: Batch) -> list[Wanted | None]:
    """Name the telemetry that each row asks of, where it brings no values."""
    return [
        None if ask["m"] is None else (entity, ask["m"])
        for entity, ask in zip(batch.entities, batch.asks, strict=True)
    ]


class Answering:
    """Answers batches; of telemetry, which changes by the minute, a fit is asked for once."""

    def __init__(self) -> None:
        self._fits: OrderedDict[tuple[Any, ...], tuple[FloatArray, Found]] = OrderedDict()

    def answer(self, batch: Batch, series: Mapping[Wanted, FloatArray], version: str) -> Prediction:
        wanted = wanted_of(batch)
        found: list[Found | None] = []
        questions: dict[int, TailQuestion] = {}
        for row, (ask, name) in enumerate(zip(batch.asks, wanted, strict=True)):
            values = np.asarray(ask["v"]) if name is None else series[name]
            kept = None if name is None else self._kept(name, ask, values)
            found.append(kept)
            if kept is None:
                questions[row] = _question(ask, values)
        for row, fit in zip(questions, answer_tails(list(questions.values())), strict=True):
            found[row] = fit
            name = wanted[row]
            if name is not None:
                self._keep(name, batch.asks[row], series[name], fit)
        return _prediction(batch, [fit for fit in found if fit is not None], version)

    def _kept(self, name: Wanted, ask: dict[str, Any], values: FloatArray) -> Found | None:
        """Give the fit of these very values, where there is one."""
        of, fit = self._fits.get(_key(name, ask), (None, None))
        return fit if of is values else None

    def _keep(self, name: Wanted, ask: dict[str, Any], values: FloatArray, fit: Found) -> None:
        self._fits[_key(name, ask)] = (values, fit)
        while len(self._fits) > MOST_FITS:
            self._fits.popitem(last=False)


def _key(name: Wanted, ask: dict[str, Any]) -> tuple[Any, ...]:
    return (*name, ask["q"], *ask["p"], ask["c"], ask["j"], ask["d"])


def _prediction(batch: Batch, found: list[Found], version: str) -> Prediction:
    columns: Columns = {name: np.full(len(found), np.nan) for name in COLUMNS}
    details: list[Detail | None] = [None] * len(found)
    refusals: dict[int, Refusal] = {}
    for row, (each, ask) in enumerate(zip(found, batch.asks, strict=True)):
        if isinstance(each, ModelError):
            refusals[row] = _refusal(str(each), ask)
            continue
        for name, value in _numbers(each).items():
            columns[name][row] = value
        details[row] = _detail(each, ask)
    return Prediction(columns, MODEL, version, details, refusals)


def warm() -> None:
    """Fit once, so that the first request of a replica waits for no compiler."""
    spread = [float(1 + at * 7919 % 997) for at in range(400)]
    answer_tails([TailQuestion(spread), TailQuestion(spread, dependent=True)])


def _question(ask: dict[str, Any], values: FloatArray) -> TailQuestion:
    return TailQuestion(
        values=values,
        threshold_quantile=ask["q"],
        confidence=ask["c"],
        levels=LEVELS,
        return_periods=tuple(ask["p"]),
        judged=ask["j"],
        dependent=ask["d"],
    )


def _refusal(why: str, ask: dict[str, Any]) -> Refusal:
    field = "values" if ask["m"] is None else "metric"
    return {"code": "invalid", "message": f"No tail can be fitted: {why}", "fields": {field: why}}


def _numbers(found: TailAnswer) -> dict[str, float]:
    at_risk = found.value_at_risk[0]
    return {
        "threshold": found.fit.sample.threshold,
        "scale": found.scale.value,
        "exceedance_probability": found.exceedance_probability.value,
        "value_at_risk": at_risk.value,
        "lower": _end(at_risk.lower, at_risk.value, -FARTHEST),
        "upper": _end(at_risk.upper, at_risk.value, FARTHEST),
    }


def _end(end: float, value: float, open_end: float) -> float:
    """Give an end that is a number: the value itself below the threshold, or very far."""
    if math.isnan(end):
        return value
    return open_end if math.isinf(end) else end


def _detail(found: TailAnswer, ask: dict[str, Any]) -> Detail:
    data = {
        "is_extreme": found.is_extreme,
        "judged": found.judged,
        "shape": found.shape.value,
        "shape_interval": _interval(found.shape),
        "scale_interval": _interval(found.scale),
        "exceedance_interval": _interval(found.exceedance_probability),
        "var": _levels(found.value_at_risk),
        "cvar": _levels(found.conditional_value_at_risk),
        "return_levels": [
            {"period": period, **_estimate(each)}
            for period, each in zip(ask["p"], found.return_levels, strict=True)
        ],
        "extremal_index": found.extremal_index,
        "exceedances": int(found.fit.sample.excess.size),
        "notes": list(found.notes),
    }
    return {"data": data, "interval": {"level": ask["c"]}}


def _levels(estimates: tuple[Estimate, ...]) -> list[dict[str, Any]]:
    return [
        {"level": level, **_estimate(each)} for level, each in zip(LEVELS, estimates, strict=True)
    ]


def _estimate(each: Estimate) -> dict[str, float | None]:
    return {"value": _finite(each.value), **_interval(each)}


def _interval(each: Estimate) -> dict[str, float | None]:
    return {"lower": _finite(each.lower), "upper": _finite(each.upper)}


def _finite(value: float) -> float | None:
    """JSON has no infinity: an end that is open is null."""
    return value if math.isfinite(value) else None
