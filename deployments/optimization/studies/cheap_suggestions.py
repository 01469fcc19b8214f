"""What is suggested while no model's suggestion is ready: cheap, and said to be so.

Before a study has as many outcomes as it starts with, this is what the engine itself does. After
that, by turns, a point near the best one (a tenth of every range about it) and one that fills the
space evenly. It follows from the study alone.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from deployments.optimization.studies.state import Running
from models.optimization.bayes.sobol import sobol
from models.optimization.bayes.space import Parameters
from models.optimization.bayes.study import Study, Trial
from models.optimization.bayes.suggest import suggest
from models.protocols import FloatArray

Source = Literal["start", "model", "near_best", "spread"]

_REACH = 0.1
# A longer sequence would take longer to draw than there is time; it begins again there.
_MOST_POINTS = 1024


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggestion as it waits in the queue."""

    parameters: dict[str, Any]
    source: Source
    basis: int
    """How many outcomes were known when it was made."""
    expected_improvement: float | None = None
    acquisition: float | None = None
    gain: float | None = None


def starting(running: Running) -> bool:
    """Tell whether the engine would not ask a model yet either."""
    return running.settled < running.study.design.starts


def cheap(running: Running) -> Suggested:
    """Suggest without a model; of a list, one that is left."""
    study = running.study
    number = len(study.trials)
    if starting(running):
        return Suggested(_start(study), "start", basis=running.settled)
    generator = np.random.default_rng([study.design.seed, number])
    if study.design.candidates:
        chosen = int(generator.choice(list(running.unasked.values())))
        return Suggested(study.design.candidates[chosen], "spread", basis=running.settled)
    space, best = study.design.space, _best(running)
    if best is None or number % 2 == 0:
        row = _points(space.width, study.design.seed)[number % _MOST_POINTS]
        return Suggested(space.values(row), "spread", basis=running.settled)
    row = _near(study, best, generator)
    return Suggested(space.values(row), "near_best", basis=running.settled)


def _start(study: Study) -> Parameters:
    """Do as the engine does, without drawing the whole sequence anew for each trial."""
    space, number = study.design.space, len(study.trials)
    if study.design.candidates:
        return suggest(study, 0).parameters
    if number == 0:
        return space.values(np.full(space.width, 0.5))
    return space.values(_points(space.width, study.design.seed)[(number - 1) % _MOST_POINTS])


@lru_cache(maxsize=64)
def _points(columns: int, seed: int) -> FloatArray:
    return sobol(columns, _MOST_POINTS, seed)


def _best(running: Running) -> Trial | None:
    front = running.front.trials()
    return front[len(running.study.trials) % len(front)] if front else None


def _near(study: Study, best: Trial, generator: np.random.Generator) -> FloatArray:
    """Move a little along every number; change a choice one time in ten."""
    space = study.design.space
    row = space.row(best.parameters)
    step = generator.normal(size=space.width) * _REACH
    moved: FloatArray = np.clip(row + step, 0.0, 1.0)
    for (_, parameter), columns in zip(space.parameters, space.columns(), strict=True):
        if parameter.width > 1:
            changes = generator.random() < _REACH
            moved[columns] = generator.random(parameter.width) if changes else row[columns]
    return moved
