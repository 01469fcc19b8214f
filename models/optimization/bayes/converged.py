"""The best trial so far, whether more are worth it, and the trade-offs where goals conflict.

A study has converged when its last three suggestions by the model each hoped for less than the
tolerance times the standard deviation of the outcomes: 0.1 % of it by default. With several goals
what is hoped for is measured by the hypervolume reached.
"""

import numpy as np

from models.optimization.bayes.study import Study, Trial
from models.optimization.bayes.training import signs

IN_A_ROW = 3


def converged(study: Study) -> bool:
    """Tell whether the last suggestions hoped for next to nothing."""
    gains = [trial.gain for trial in study.trials[-IN_A_ROW:]]
    small = [gain is not None and gain < study.design.tolerance for gain in gains]
    return len(small) == IN_A_ROW and all(small)


def best(study: Study) -> Trial | None:
    """Give the best feasible trial of a study of one goal; None when there is none."""
    found = pareto(study) if len(study.design.goals) == 1 else []
    return found[0] if found else None


def pareto(study: Study) -> list[Trial]:
    """Give the feasible trials that no other one beats in every goal, in order of their number."""
    fine = [trial for trial in study.trials if trial.feasible]
    values = np.array([trial.values for trial in fine]).reshape(len(fine), len(study.design.goals))
    values = values * signs(study)
    return [
        trial
        for trial, mine in zip(fine, values, strict=True)
        if not ((values <= mine).all(axis=1) & (values < mine).any(axis=1)).any()
    ]
