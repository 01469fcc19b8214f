"""Finds how much each input of a tail model matters: what its loss grows by without its order.

Held-out intervals are asked again with one input dealt among them anew (Breiman 2001). What the
mean pinball loss over all levels grows by, as a share of the loss, is the input's importance. Two
inputs that say the same share theirs: each looks small while the other is there.
"""

import numpy as np

from models.protocols import FloatArray, IntArray
from models.tail.curve import LEVELS
from models.tail.history import History
from models.tail.importance import Importance
from models.tail.inputs import INPUTS
from models.tail.xgboost_quantile import TailModel

ROWS = 4_000
"""Intervals that are asked again: with more, the error falls by the root, the time rises."""
SHUFFLES = 5
_HOUR = 3_600
_LEVELS = np.array(LEVELS)


def importances(
    model: TailModel, held_out: History, rng: np.random.Generator
) -> dict[str, Importance]:
    """Judge each input that was measured; an input that never was decides nothing."""
    chosen = np.sort(rng.permutation(held_out.ts.size)[:ROWS])
    inputs, truth = held_out.inputs[chosen], held_out.targets[chosen]
    hours = np.unique(held_out.ts[chosen] // _HOUR, return_inverse=True)[1]
    as_it_is = _losses(model, inputs, truth)
    found = {}
    for at, name in enumerate(INPUTS):
        if np.isnan(inputs[:, at]).all():
            continue
        grown = np.zeros(len(inputs))
        for _ in range(SHUFFLES):
            shuffled = inputs.copy()
            shuffled[:, at] = rng.permutation(inputs[:, at])
            grown += (_losses(model, shuffled, truth) - as_it_is) / SHUFFLES
        found[name] = _importance(grown, hours, float(as_it_is.mean()))
    return found


def _importance(grown: FloatArray, hours: IntArray, loss: float) -> Importance:
    # Minutes of an hour resemble each other: they are no separate looks.
    of_hours = np.bincount(hours, grown) / np.bincount(hours)
    several = of_hours.size > 1
    error = float(of_hours.std(ddof=1) / np.sqrt(of_hours.size)) if several else np.nan
    return Importance(float(grown.mean()) / loss, error / loss)


def _losses(model: TailModel, inputs: FloatArray, truth: FloatArray) -> FloatArray:
    """Give each interval's pinball loss, the mean over its requests and all levels."""
    error = truth[:, None, :] - model.quantiles(inputs)[:, :, None]
    levels = _LEVELS[None, :, None]
    losses: FloatArray = np.maximum(levels * error, (levels - 1) * error).mean(axis=(1, 2))
    return losses
