"""What to do about a predicted p99: nothing, more workers, fewer requests, or a person.

The model is asked again with the load that would be left if it were divided by each rung of
RELIEF. Up to MOST_SCALING the relief is had with workers (load goes as 1 / workers), beyond it
also by admitting less. The lowest rung whose p99 meets the objective decides:

    relief 1                  none
    relief to MOST_SCALING    scale_up: ceil(active_workers x relief) workers
    relief beyond             shed_load: scale by MOST_SCALING, admit MOST_SCALING / relief
    no rung meets it, or a    page; workers and admitted share still say what would help
      NEAR_CERTAIN breach       most meanwhile

The p99 never falls when load rises, so neither do the workers, and the admitted share never rises.
Where no load was measured, neither now nor in training, nothing says what relief would do: the
plan keeps the fleet and admits all, and calls a person when the objective is missed.

Workers are never taken away: that is for capacity planning, which looks hours ahead. The rate of
requests is held while asking, so a shed request counts as one that still arrives: the plan errs on
the side of room.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.protocols import BoolArray, FloatArray, IntArray

RELIEF = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 12.0)
MOST_SCALING = 3.0
NEAR_CERTAIN = 0.95
ACTIONS = ("none", "scale_up", "shed_load", "page")

_RELIEF = np.array(RELIEF)
_ACTIONS = np.array(ACTIONS)
_NONE, _SCALE_UP, _SHED_LOAD, _PAGE = range(len(ACTIONS))


class Plan(NamedTuple):
    action: NDArray[np.str_]
    workers: IntArray
    admit_fraction: FloatArray


def relieved(load: FloatArray) -> FloatArray:
    """Divide the load by each rung of relief, a row a request."""
    rungs: FloatArray = load[:, None] / _RELIEF
    return rungs


def plan(
    p99: FloatArray,
    objective: FloatArray,
    breach: FloatArray,
    active: FloatArray,
    relievable: BoolArray,
) -> Plan:
    """Judge each row by its p99 at every rung (rows x rungs), on the objective's scale."""
    meets = p99 <= objective[:, None]
    possible: BoolArray = np.any(meets, axis=1)
    relief = np.where(possible, _RELIEF[meets.argmax(axis=1)], _RELIEF[-1])
    relief = np.where(relievable, relief, _RELIEF[0])
    return Plan(
        action=_ACTIONS[_action(relief, possible, breach)],
        workers=np.ceil(active * np.minimum(relief, MOST_SCALING)).astype(np.int64),
        admit_fraction=np.minimum(1.0, MOST_SCALING / relief),
    )


def _action(relief: FloatArray, possible: BoolArray, breach: FloatArray) -> IntArray:
    milder = np.where(relief > MOST_SCALING, _SHED_LOAD, np.where(relief > 1, _SCALE_UP, _NONE))
    return np.where(~possible | (breach >= NEAR_CERTAIN), _PAGE, milder)
