"""An offset of the interval for each entity, drawn to the common one as far as it is uncertain.

One offset for all covers its share of all requests, of one entity's more and of another's fewer.
Calibrated by entity (group-conditional CQR: Romano, Barber, Sabatti and Candes 2020) it covers that
share of each, but an entity's own offset is known with an error. So both are weighed, as empirical
Bayes does (Morris 1983), with v the offsets' variance between entities and e an own offset's
standard error:

    offset = common + (own - common) v / (v + e^2).

Minutes of an hour share its luck: e counts hours. Where entities differ by no more than their
errors v is 0, and all have the common one.
"""

from collections.abc import Iterator

import numpy as np

from models.conformal import conformal_quantile
from models.protocols import BoolArray, FloatArray, IntArray
from models.tail.calibration import INTERVAL_LEVEL
from models.tail.history import History

LEAST_HOURS = 24
"""Below, an entity has not been seen at every hour of a day, as calibration takes turns by hour."""
_HOUR = 3_600
_AROUND = 0.05
"""Between which levels about the interval's the scores' density is taken."""


def entity_offsets(scores: FloatArray, calibration: History, common: float) -> dict[str, float]:
    """Give the offset of each entity with enough hours; `scores` has one for each interval."""
    own, error = dict[str, float](), dict[str, float]()
    for name, rows, hours in _with_enough_hours(calibration):
        own[name] = conformal_quantile(scores[rows], INTERVAL_LEVEL)
        error[name] = _error(scores[rows], own[name], hours)
    apart = np.array([each - common for each in own.values()])
    squares = np.square([*error.values()])
    between = float(np.mean(apart**2 - squares)) if own else 0.0
    if between <= 0:
        return {}
    drawn = common + apart * between / (between + squares)
    return dict(zip(own, drawn.tolist(), strict=True))


def entity_means(values: FloatArray, history: History) -> dict[str, float]:
    """Take the mean of each entity with enough hours over its intervals' values."""
    return {name: float(values[rows].mean()) for name, rows, _ in _with_enough_hours(history)}


def _with_enough_hours(history: History) -> Iterator[tuple[str, BoolArray, IntArray]]:
    """Name each entity, its intervals, and the number of the hour that each lies in."""
    for entity in np.unique(history.entity):
        rows = history.entity == entity
        found, hours = np.unique(history.ts[rows] // _HOUR, return_inverse=True)
        if found.size >= LEAST_HOURS:
            yield str(entity), rows, hours


def _error(scores: FloatArray, offset: float, hours: IntArray) -> float:
    """Estimate the standard error of a quantile: that of its level over the density there."""
    held = scores <= offset
    strays = np.bincount(hours, held - held.mean())
    of_level = np.sqrt((strays**2).sum() * strays.size / (strays.size - 1)) / held.size
    low, high = np.quantile(scores, (INTERVAL_LEVEL - _AROUND, INTERVAL_LEVEL + _AROUND))
    return float(of_level * (high - low) / (2 * _AROUND))
