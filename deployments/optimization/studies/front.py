"""The best trials so far, kept as outcomes come: looking through thousands at each ask would cost.

What counts as best is models/optimization/bayes/converged.py's: feasible, and beaten by no other
feasible trial in every goal. Of trials with the same values the earliest stands for all.
"""

import numpy as np

from models.optimization.bayes.study import Study, Trial


class Front:
    """Follows one study; the best trial of one goal, or the trade-offs of several."""

    def __init__(self, study: Study) -> None:
        goals = study.design.goals
        self._study = study
        self._signs = np.array([1.0 if goal == "minimise" else -1.0 for goal in goals])
        self._numbers = np.zeros(0, np.int64)
        self._costs = np.zeros((0, len(goals)))
        for trial in study.trials:
            self.settle(trial)

    def settle(self, trial: Trial) -> None:
        """Take in a trial whose outcome is known."""
        if not trial.feasible:
            return
        mine = self._signs * np.array(trial.values)
        same = (self._costs == mine).all(axis=1)
        if same.any():
            # Trials are told in any order: the earlier number stands.
            self._numbers[same] = np.minimum(self._numbers[same], trial.number)
            return
        if (self._costs <= mine).all(axis=1).any():
            return
        kept = ~(mine <= self._costs).all(axis=1)
        self._numbers = np.append(self._numbers[kept], trial.number)
        self._costs = np.concatenate([self._costs[kept], mine[None]])

    def trials(self) -> list[Trial]:
        """Give them in the order of their numbers."""
        return [self._study.trials[number] for number in np.sort(self._numbers).tolist()]

    def best(self) -> Trial | None:
        """Give the best of a study of one goal, the earliest of equals."""
        if len(self._signs) > 1 or not len(self._numbers):
            return None
        return self._study.trials[int(self._numbers[0])]
