"""A request's latency from one XGBoost booster: quantiles, conformal interval, plan of action.

The booster predicts quantiles of log(latency / baseline), baseline being the entity's usual
median, so that one model serves entities whose latencies lie orders of magnitude apart.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.conformal import widen
from models.elementwise import exp, log
from models.protocols import BoolArray, Columns, FloatArray
from models.tail import artifact
from models.tail.artifact import TailMeta
from models.tail.buckets import Bucket
from models.tail.curve import LEVELS, P99, Tails, exceedance, ordered
from models.tail.flat_trees import FlatTrees
from models.tail.inputs import INPUTS, SELDOM, TailRows, checked, design
from models.tail.naming import TAIL_MODEL
from models.tail.plan import RELIEF, Plan, plan, relieved
from models.tail.resolution import Resolution

_LOAD = INPUTS.index("load")
_LOWER, _UPPER = LEVELS.index(0.05), LEVELS.index(0.95)
_SHOWN = ("p50_pred", "p95_pred", "p99_pred", "p999_pred")


class TailModel:
    """Serves a trained booster, given as XGBoost saved it (UBJSON), without XGBoost.

    Threads may share one: it never changes.
    """

    name = TAIL_MODEL

    def __init__(self, booster: bytes, meta: TailMeta) -> None:
        self.meta = meta
        self._booster = booster
        self._low, self._high = np.array(meta.input_low), np.array(meta.input_high)
        self._usual = np.array([meta.input_usual, meta.input_usual_low, meta.input_usual_high])
        missing = np.array(meta.input_missing)
        self._seen_missing = missing >= SELDOM
        self._knows_load = bool(missing[_LOAD] < 1)
        self._buckets = {entity: Bucket(*ends) for entity, ends in meta.buckets.items()}
        self._tails = Tails(meta.tail_lower, meta.tail_upper)
        self._trees = FlatTrees.of(booster, len(INPUTS))
        self.quantiles(np.zeros((1, len(INPUTS))))  # the first call compiles the walk

    def predict(
        self, columns: Columns, entities: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Answer every row, by what is known of its entity; InvalidColumnError when one cannot be.

        Of an entity that lies within one bucket only bounds are said, see resolution.py.
        """
        rows = checked(columns)
        resolution: Resolution | None = None
        if self._buckets and entities:
            resolution = Resolution.of(self._buckets, entities)
        given = _design(rows)
        unlearned = self._unlearned(given)
        lacking = bool(unlearned.any())
        inputs = np.where(unlearned, self._usual[0], given) if lacking else given
        now, objective = self.quantiles(inputs), log(rows.slo_ms / rows.baseline_ms)
        breach = exceedance(now, objective, self._tails)
        if resolution is not None:  # an objective that nobody can judge is not planned for
            hidden = resolution.hides(rows.slo_ms)
            objective, breach = np.where(hidden, np.inf, objective), np.where(hidden, 0.0, breach)
        p99 = self._p99_at_each_relief(inputs, now[:, P99], objective)
        relievable = np.isfinite(given[:, _LOAD]) & self._knows_load
        steps = plan(p99, objective, breach, rows.active_workers, relievable)
        ends = self._ends(now, given, unlearned) if lacking else (now[:, _LOWER], now[:, _UPPER])
        widened = widen(*ends, self.offsets(entities))
        latencies = self._latencies(now, widened, rows.baseline_ms)
        return {
            **(latencies if resolution is None else resolution.bounded(latencies)),
            "breach_probability": breach,
            **_named(steps),
            "extrapolated": self._outside(given),
        }

    def quantiles(self, inputs: FloatArray) -> FloatArray:
        """Ordered quantiles of log(latency / baseline), a column for each of LEVELS."""
        return ordered(self._trees.predict(np.ascontiguousarray(inputs, dtype=np.float32)))

    def offsets(self, entities: Sequence[str] | None) -> float | FloatArray:
        """Give by how much, in log latency, both ends of each row's interval are moved out."""
        own, common = self.meta.offsets, self.meta.offset
        if not own or not entities:
            return common
        return np.array([own.get(each, common) for each in entities])

    def save(self, folder: Path) -> None:
        artifact.write(folder, self._booster, self.meta)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load what `save` left; ArtifactError when it is damaged or of another release."""
        return cls(*artifact.read(folder))

    def _p99_at_each_relief(
        self, inputs: FloatArray, now: FloatArray, objective: FloatArray
    ) -> FloatArray:
        """Predict p99 (rows x rungs); only a row that misses its objective is asked again.

        A row that meets it as it is needs no relief, whatever the other rungs would say.
        """
        p99 = np.repeat(now[:, None], len(RELIEF), axis=1)
        late = np.flatnonzero(now > objective)
        if late.size:
            asked = np.repeat(inputs[late, None, :], len(RELIEF) - 1, axis=1)
            asked[:, :, _LOAD] = relieved(inputs[late, _LOAD])[:, 1:]
            relaxed = self.quantiles(asked.reshape(-1, len(INPUTS)))[:, P99]
            p99[late, 1:] = relaxed.reshape(late.size, -1)
        return p99

    def _unlearned(self, inputs: FloatArray) -> BoolArray:
        """Say where an input is missing that never was in training: no tree knows what follows."""
        unlearned: BoolArray = np.isnan(inputs) & ~self._seen_missing
        return unlearned

    def _ends(
        self, now: FloatArray, given: FloatArray, unlearned: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Give both ends of the interval before it is widened.

        Of a row that lacks an input which training always had, it reaches from what the model says
        at that input's lower usual values to what it says at the higher ones.
        """
        lower, upper = now[:, _LOWER].copy(), now[:, _UPPER].copy()
        rows = np.flatnonzero(unlearned.any(axis=1))
        low, high = (
            self.quantiles(np.where(unlearned[rows], values, given[rows]))
            for values in self._usual[1:]
        )
        lower[rows] = np.minimum(lower[rows], low[:, _LOWER])
        upper[rows] = np.maximum(upper[rows], high[:, _UPPER])
        return lower, upper

    def _latencies(
        self, curve: FloatArray, ends: tuple[FloatArray, FloatArray], baseline_ms: FloatArray
    ) -> dict[str, FloatArray]:
        logs = np.stack([*curve[:, 1:].T, *ends])
        return dict(zip((*_SHOWN, "lower", "upper"), baseline_ms * exp(logs), strict=True))

    def _outside(self, inputs: FloatArray) -> BoolArray:
        outside: BoolArray = np.any((inputs < self._low) | (inputs > self._high), axis=1)
        return outside


def _design(rows: TailRows) -> FloatArray:
    ratio = rows.request_rate / rows.baseline_rate
    return design(rows.load, rows.infra, rows.error_rate, ratio)


def _named(steps: Plan) -> dict[str, NDArray[Any]]:
    return {
        "action": steps.action,
        "autoscale_workers": steps.workers,
        "admit_fraction": steps.admit_fraction,
    }
