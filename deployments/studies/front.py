"""The best trials so far, kept as outcomes come: looking through thousands at each ask would cost.

What counts as best is models/optimization/bayes/converged.py's: feasible, and beaten by no other
feasible trial in every goal.
"""

from models.optimization.bayes.study import Study, Trial


class Front:
    """Follows one study; the trial of one goal, or the trade-offs of several."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._signs = [1.0 if goal == "minimise" else -1.0 for goal in study.design.goals]
        self._best: list[int] = []
        for trial in study.trials:
            self.settle(trial)

    def settle(self, trial: Trial) -> None:
        """Take in a trial whose outcome is known."""
        if not trial.feasible:
            return
        mine = self._costs(trial)
        others = [(number, self._costs(self._study.trials[number])) for number in self._best]
        if any(_beats(theirs, mine) for _, theirs in others):
            return
        kept = [number for number, theirs in others if not _beats(mine, theirs)]
        self._best = sorted([*kept, trial.number])

    def trials(self) -> list[Trial]:
        """Give them in the order of their numbers."""
        return [self._study.trials[number] for number in self._best]

    def best(self) -> Trial | None:
        """Give the best of a study of one goal, the earliest of equals."""
        if len(self._study.design.goals) > 1 or not self._best:
            return None
        return self._study.trials[self._best[0]]

    def _costs(self, trial: Trial) -> list[float]:
        return [sign * value for sign, value in zip(self._signs, trial.values, strict=True)]


def _beats(a: list[float], b: list[float]) -> bool:
    pairs = list(zip(a, b, strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)
