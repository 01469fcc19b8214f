"""Models of a study's constraints, for the chance that each is met."""

import numpy as np

from models.optimization.bayes.fit import fit
from models.optimization.bayes.gaussian import Gaussian
from models.optimization.bayes.mixture import Hints
from models.optimization.bayes.training import Training
from models.optimization.bayes.warp import Warp
from models.protocols import FloatArray

Limits = tuple[tuple[Gaussian, float], ...]
"""Of each constraint: its model, and where 0 lies in the model's units."""


def limits_of(
    known: Training, hints: Hints, waiting: FloatArray
) -> tuple[Limits, dict[str, tuple[float, ...]]]:
    """Fit one model a constraint, with where 0 lies in its unit, and every fit's theta."""
    found = dict[str, tuple[float, ...]]()
    limits = []
    rows = known.rows[known.told]
    for number, values in enumerate(known.constraints[known.told].T):
        name = f"constraint:{number}"
        warp = Warp.fit(values, 1.0)
        modelled = warp.there(values)
        one = fit(rows, modelled, "matern", np.array(hints[name]) if name in hints else None)
        found[name] = tuple(one.theta.tolist())
        model = Gaussian.condition(one, rows, modelled).believing(waiting, modelled)
        limits.append((model, float(warp.there(np.zeros(1))[0])))
    return tuple(limits), found
