"""The booster: all quantiles in one, grown in stages, monotony repaired after each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from models.protocols import FloatArray
from models.tail.curve import LEVELS, ordered
from models.tail.inputs import MONOTONE
from models.tail.monotone import repaired

STAGES = 6
ROUNDS_A_STAGE = 5
_SHAPE = {
    "objective": "reg:quantileerror",
    "quantile_alpha": list(LEVELS),
    "tree_method": "hist",
    "max_bin": 64,
    "max_depth": 4,
    "learning_rate": 0.2,
    "min_child_weight": 300,  # a leaf must hold enough requests to show its p99.9
    "monotone_constraints": tuple(int(constrained) for constrained in MONOTONE),
}


def fit_booster(
    inputs: FloatArray,
    targets: FloatArray,
    *,
    seed: int,
    threads: int,
    grown: Callable[[float], None],
) -> xgboost.Booster:
    """Grow all trees; `grown` hears the share that stands.

    The same data, seed and threads give the same booster to the bit.
    """
    data = xgboost.QuantileDMatrix(
        inputs.astype(np.float32), targets, max_bin=_SHAPE["max_bin"], nthread=threads
    )
    params = _SHAPE | {"seed": seed, "nthread": threads}
    booster = _stage(params, data, None)
    for stage in range(1, STAGES):
        grown(stage / STAGES)
        booster = _stage(params, data, booster)
    return booster


def predicted(booster: xgboost.Booster, inputs: FloatArray) -> FloatArray:
    """Predict ordered quantiles of log(latency / baseline), a column for each of LEVELS."""
    dense = np.ascontiguousarray(inputs, dtype=np.float32)
    raw: NDArray[np.float32] = booster.inplace_predict(dense)
    return ordered(raw.reshape(-1, len(LEVELS)))


def _stage(
    params: dict[str, Any], data: xgboost.QuantileDMatrix, booster: xgboost.Booster | None
) -> xgboost.Booster:
    return repaired(xgboost.train(params, data, ROUNDS_A_STAGE, xgb_model=booster), MONOTONE)
