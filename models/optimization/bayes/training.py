"""The trials that the models are fitted on, as rows and numbers that are all to be made small.

A failed trial counts as the worst that was seen, so the search keeps away from it. A Gaussian
process takes cubic time, so of a long study at most `capacity` trials are used: the best quarter,
the latest quarter, and the rest as far from those as can be.
"""

from dataclasses import dataclass

import numpy as np

from models.optimization.bayes.study import Study, Trial
from models.protocols import BoolArray, FloatArray, IntArray

MOST_ROWS, LEAST_ROWS = 300, 100
_MOST_SQUARES = 4_000_000  # numbers that a fit keeps: rows x rows x columns


@dataclass(frozen=True, slots=True)
class Training:
    rows: FloatArray
    outcomes: FloatArray
    """(trials, goals): the smaller the better."""
    constraints: FloatArray
    """(trials, constraints): met at 0 and under."""
    told: BoolArray
    """False where the trial failed: its outcomes are made up, its constraints unknown."""

    @property
    def feasible(self) -> BoolArray:
        return self.told & np.asarray((self.constraints <= 0).all(axis=1))


def training(study: Study) -> Training | None:
    """Gather what is known; None when nothing was told yet."""
    done = [trial for trial in study.trials if trial.state != "pending"]
    if not any(trial.state == "told" for trial in done):
        return None
    told = np.array([trial.state == "told" for trial in done])
    outcomes = _filled(study, done, told)
    constraints = np.zeros((len(done), len(study.design.constraints)))
    constraints[told] = [trial.constraints for trial in done if trial.state == "told"]
    rows = np.array([study.design.space.row(trial.parameters) for trial in done])
    whole = Training(rows, outcomes, constraints, told)
    return _cut(whole, capacity(rows.shape[1]))


def capacity(columns: int) -> int:
    return int(np.clip(np.sqrt(_MOST_SQUARES / columns), LEAST_ROWS, MOST_ROWS))


def pending_rows(study: Study) -> FloatArray:
    rows = [study.design.space.row(trial.parameters) for trial in study.pending()]
    return np.array(rows[-LEAST_ROWS:]).reshape(-1, study.design.space.width)


def signs(study: Study) -> FloatArray:
    return np.array([1.0 if goal == "minimise" else -1.0 for goal in study.design.goals])


def _filled(study: Study, done: list[Trial], told: BoolArray) -> FloatArray:
    outcomes = np.empty((len(done), len(study.design.goals)))
    values = np.array([trial.values for trial in done if trial.state == "told"])
    outcomes[told] = values * signs(study)
    outcomes[~told] = outcomes[told].max(axis=0)
    return outcomes


def _cut(whole: Training, most: int) -> Training:
    if len(whole.rows) <= most:
        return whole
    badness = np.where(whole.feasible, 0, whole.told.size) + _rank(whole.outcomes)
    best = np.argsort(badness, kind="stable")[: most // 4]
    latest = np.arange(len(whole.rows) - most // 4, len(whole.rows))
    kept = _spread(whole.rows, np.union1d(best, latest), most)
    return Training(
        whole.rows[kept], whole.outcomes[kept], whole.constraints[kept], whole.told[kept]
    )


def _rank(outcomes: FloatArray) -> FloatArray:
    """Rank by the goals' mean rank: with one goal, by its value."""
    ranks: FloatArray = outcomes.argsort(axis=0, kind="stable").argsort(axis=0).mean(axis=1)
    return ranks


def _spread(rows: FloatArray, kept: IntArray, most: int) -> IntArray:
    nearest = np.full(len(rows), np.inf)
    chosen = kept.tolist()
    for one in chosen:
        nearest = np.minimum(nearest, ((rows - rows[one]) ** 2).sum(axis=1))
    while len(chosen) < most:
        one = int(np.argmax(nearest))
        chosen.append(one)
        nearest = np.minimum(nearest, ((rows - rows[one]) ** 2).sum(axis=1))
    return np.unique(chosen)
