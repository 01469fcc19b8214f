"""Several goals at once: log noisy expected hypervolume improvement, by BoTorch.

Ament et al. 2023 on Daulton et al. 2021. The models' hyperparameters come from `fit.py`; BoTorch
conditions them, draws from them jointly and takes the gradients.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from models.optimization.bayes.fit import Fit, fit
from models.optimization.bayes.mixture import Hints
from models.optimization.bayes.training import Training
from models.optimization.bayes.warp import Warp
from models.protocols import FloatArray

_DRAWS = 32
_BEYOND = 0.1  # of the front's range, where the reference point lies behind its worst


@dataclass(frozen=True, slots=True)
class LogHypervolume:
    function: Any
    hints: dict[str, tuple[float, ...]]
    reached: float
    """Hypervolume of what was found, in the models' units."""

    @classmethod
    def fit(cls, known: Training, waiting: FloatArray, hints: Hints, seed: int) -> Self:
        torch.set_num_threads(1)  # a replica shares its cores; matrices this small gain nothing
        models, found = [], dict[str, tuple[float, ...]]()
        outcomes = [*(-known.outcomes.T), *known.constraints.T]
        limits: list[float] = []
        for number, values in enumerate(outcomes):
            name = f"outcome:{number}"
            rows = known.rows if number < known.outcomes.shape[1] else known.rows[known.told]
            kept = values if len(rows) == len(values) else values[known.told]
            warp = Warp.fit(kept, 1.0)
            one = fit(rows, warp.there(kept), "matern",
                      np.array(hints[name]) if name in hints else None)  # fmt: skip
            found[name] = tuple(one.theta.tolist())
            models.append(_model(one, rows, warp.there(kept)))
            limits.append(float(warp.there(np.zeros(1))[0]))
        goals = known.outcomes.shape[1]
        modelled = np.array([Warp.fit(each, 1.0).there(each) for each in outcomes[:goals]]).T
        return cls(*_function(models, known, modelled, waiting, limits[goals:], seed, found))

    def at(self, rows: FloatArray) -> FloatArray:
        with torch.no_grad():
            values: FloatArray = self.function(torch.as_tensor(rows)[:, None]).numpy()
        return values

    def slope(self, row: FloatArray) -> tuple[float, FloatArray]:
        place = torch.tensor(row[None, None], requires_grad=True)
        value = self.function(place).sum()
        (gradient,) = torch.autograd.grad(value, place)
        return float(value), gradient.numpy()[0, 0]


def _function(
    models: list[Any], known: Training, modelled: FloatArray, waiting: FloatArray,
    limits: list[float], seed: int, found: dict[str, tuple[float, ...]],
) -> tuple[Any, dict[str, tuple[float, ...]], float]:  # fmt: skip
    from botorch.acquisition.multi_objective import logei  # noqa: PLC0415
    from botorch.acquisition.multi_objective.objective import (  # noqa: PLC0415
        IdentityMCMultiOutputObjective,
    )
    from botorch.models import ModelListGP  # noqa: PLC0415
    from botorch.sampling import SobolQMCNormalSampler  # noqa: PLC0415

    # BoTorch would have a C++ compiler build a kernel at the first question: half a minute of a
    # client's time, and other bits than on a machine that has no compiler.
    logei._load_attempted = True  # noqa: SLF001 - it has no setting for it
    goals = modelled.shape[1]
    good = modelled[known.feasible] if known.feasible.any() else modelled
    reference = good.min(axis=0) - _BEYOND * (np.ptp(good, axis=0) + 1e-3)
    constraints = [
        (lambda outcome, at=goals + number, limit=limit: outcome[..., at] - limit)
        for number, limit in enumerate(limits)
    ]
    function = logei.qLogNoisyExpectedHypervolumeImprovement(
        ModelListGP(*models), reference.tolist(), torch.as_tensor(known.rows[known.told]),
        sampler=SobolQMCNormalSampler(torch.Size([_DRAWS]), seed=seed),
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(goals))),
        constraints=constraints or None, prune_baseline=True,
        X_pending=torch.as_tensor(waiting) if len(waiting) else None,
    )  # fmt: skip
    return function, found, _reached(good, reference)


def _reached(front: FloatArray, reference: FloatArray) -> float:
    from botorch.utils.multi_objective.hypervolume import Hypervolume  # noqa: PLC0415
    from botorch.utils.multi_objective.pareto import is_non_dominated  # noqa: PLC0415

    points = torch.as_tensor(front)
    return float(Hypervolume(torch.as_tensor(reference)).compute(points[is_non_dominated(points)]))


def _model(one: Fit, rows: FloatArray, outcomes: FloatArray) -> Any:
    """Build BoTorch's model with our hyperparameters."""
    from botorch.models import SingleTaskGP  # noqa: PLC0415
    from gpytorch.kernels import MaternKernel, ScaleKernel  # noqa: PLC0415

    noise = torch.full((len(rows), 1), one.noise, dtype=torch.double)
    kernel = ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=rows.shape[1])).to(torch.double)
    kernel.base_kernel.lengthscale = torch.as_tensor(one.lengths)
    kernel.outputscale = torch.tensor(one.variance, dtype=torch.double)
    model = SingleTaskGP(
        torch.as_tensor(rows), torch.as_tensor(outcomes)[:, None], noise, covar_module=kernel,
        outcome_transform=None,
    )  # fmt: skip
    return model.eval()
