"""Several models of one outcome, of two kernels and two bends, the likeliest kept.

One likelihood seldom tells them apart early on; a mixture explores what they disagree about.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.optimization.bayes.fit import Fit, fit
from models.optimization.bayes.gaussian import Gaussian
from models.optimization.bayes.kernel import KINDS
from models.optimization.bayes.warp import BENDS, Warp
from models.protocols import BoolArray, FloatArray

MOST_MEMBERS = 3
BEHIND = 3.0
"""A member is left out when it is this much less likely than the best, in logarithms."""
Hints = Mapping[str, tuple[float, ...]]
"""Earlier fits' theta by kernel and bend, to start from."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


@dataclass(frozen=True, slots=True)
class Member:
    model: Gaussian
    warp: Warp
    outcomes: FloatArray
    """As modelled: bent and standardised."""
    best: float
    """What is to be improved on, as modelled."""

    def improvement(self, row: FloatArray) -> float:
        """Expect how much the outcome falls at a row, in its own unit."""
        mean, deviation = self.model.at(row[None])
        outcomes = self.warp.back(mean + deviation * _NODES)
        best = float(self.warp.back(np.array([self.best]))[0])
        return float(np.maximum(best - outcomes, 0) @ _WEIGHTS / _WEIGHTS.sum())


def mixture(
    rows: FloatArray, outcomes: FloatArray, feasible: BoolArray, hints: Hints, sought: int = 1
) -> tuple[list[Member], dict[str, tuple[float, ...]]]:
    """Fit them all, and give the likeliest with every fit's theta."""
    fits: list[tuple[float, Fit, Warp]] = []
    found = dict[str, tuple[float, ...]]()
    for bend in BENDS:
        warp = Warp.fit(outcomes, bend)
        for kind in KINDS:
            name = f"{kind}:{bend:g}"
            hint = np.array(hints[name]) if name in hints else None
            one = fit(rows, warp.there(outcomes), kind, hint)
            found[name] = tuple(one.theta.tolist())
            fits.append((one.score + warp.log_jacobian, one, warp))
    fits.sort(key=lambda each: -each[0])
    likeliest = [each for each in fits[:MOST_MEMBERS] if each[0] > fits[0][0] - BEHIND]
    members = [_member(one, warp, rows, outcomes, feasible, sought) for _, one, warp in likeliest]
    return members, found


def _member(
    one: Fit, warp: Warp, rows: FloatArray, outcomes: FloatArray, feasible: BoolArray, sought: int
) -> Member:
    modelled = warp.there(outcomes)
    model = Gaussian.condition(one, rows, modelled)
    # Under noise a lucky draw is not the best: the model's own opinion of each trial is taken.
    best = np.inf
    if feasible.any():
        opinion, _ = model.at(rows[feasible])
        best = float(np.sort(opinion)[min(sought, len(opinion)) - 1])
    return Member(model, warp, modelled, best)
