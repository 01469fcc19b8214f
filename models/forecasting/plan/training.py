"""Learn from telemetry what one worker carries, entity by entity, on a prior from all of them."""

import numpy as np
from scipy.optimize import isotonic_regression

from models.errors import TrainingDataError
from models.forecasting.plan.curves import LOADS, rising
from models.forecasting.plan.learned import Learned
from models.forecasting.plan.rates import Hours, peaks, persistence
from models.forecasting.plan.telemetry import LEAST_MINUTES, Entity, entities_of
from models.needs import CAPACITY
from models.protocols import Columns, FloatArray, IntArray

CARRIED = 0.9
"""Share of the minutes at a load in which p99 and processors are no higher than the curve says."""
PRIOR_MINUTES = 200
"""Minutes of its own at a load with which an entity counts as much as all of them together."""

_FEWEST = 30  # minutes at a load, of all entities: with fewer nothing is known there


def learn(columns: Columns) -> Learned:
    """Learn from minutes with the columns of telemetry.WANTED, a row an entity and minute.

    The same columns give the same to the bit. TrainingDataError when no entity has two hours.
    """
    entities = entities_of(columns)
    if not entities:
        raise TrainingDataError(
            f"no entity has {LEAST_MINUTES} complete intervals, over {CAPACITY.least_hours:g} h at "
            f"least, in which {', '.join(name for (name,) in CAPACITY.required)} were all measured"
        )
    hours = [Hours.of(each) for each in entities]
    return Learned(
        entities=tuple(each.name for each in entities),
        minutes=np.array([each.ts.size for each in entities], dtype=np.int64),
        full=np.array([each.full for each in entities]),
        usual_p50=np.array([each.usual_p50 for each in entities]),
        usual_p99=np.array([each.usual_p99 for each in entities]),
        log_p99=_curves(entities, [each.log_p99 for each in entities]),
        cpu=_curves(entities, [each.cpu for each in entities]),
        peak=peaks(hours),
        persistence=persistence(hours),
    )


def _curves(entities: list[Entity], values: list[FloatArray]) -> FloatArray:
    """Give the pool's curve in the first row, then each entity's."""
    places = [_places(each.load) for each in entities]
    together = _quantiles(np.concatenate(places), np.concatenate(values))
    known = together.count >= _FEWEST
    if not known.any():
        raise TrainingDataError(
            f"no load was measured in at least {_FEWEST} minutes: give a day of telemetry"
        )
    pool = np.interp(LOADS, LOADS[known], together.value[known])
    rows = [_monotone(pool, np.where(known, together.count, 1.0))]
    for place, value in zip(places, values, strict=True):
        own = _quantiles(place, value)
        weight = own.count / (own.count + PRIOR_MINUTES)
        mixed = rows[0] + weight * (np.where(own.count > 0, own.value, 0.0) - rows[0])
        rows.append(_monotone(mixed, own.count + PRIOR_MINUTES))
    curves = rising(np.array(rows))
    curves[:, np.flatnonzero(known)[-1] + 1 :] = np.inf
    return curves


class _Quantiles:
    """Of the values at each load of the grid, and how many there are."""

    def __init__(self, value: FloatArray, count: FloatArray) -> None:
        self.value, self.count = value, count


def _quantiles(place: IntArray, values: FloatArray) -> _Quantiles:
    order = np.lexsort((values, place))
    count = np.bincount(place, minlength=LOADS.size)
    start = np.cumsum(count) - count
    which = start + np.ceil(CARRIED * (count - 1)).astype(np.int64)
    at = order[np.clip(which, 0, values.size - 1)]
    return _Quantiles(np.where(count > 0, values[at], np.nan), count.astype(np.float64))


def _places(load: FloatArray) -> IntArray:
    """Find the nearest load of the grid; the last one also takes what lies beyond."""
    nearest: IntArray = np.rint(load / LOADS[1]).astype(np.int64)
    return np.minimum(nearest, LOADS.size - 1)


def _monotone(values: FloatArray, weight: FloatArray) -> FloatArray:
    risen: FloatArray = isotonic_regression(values, weights=weight).x
    return risen
