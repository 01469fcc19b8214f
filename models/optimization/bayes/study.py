"""A study: what was asked for, what was told of it; nothing here draws or fits.

`ask`, `tell` and `add` are its events. Each takes all that it changes the study by, so the same
events in the same order rebuild it to the bit: write an event down first, then apply it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from models.errors import SpaceError, StudyError, TrialError
from models.optimization.bayes.space import Parameters, Space

Direction = Literal["minimise", "maximise"]
State = Literal["pending", "told", "failed"]
LEAST_STARTS = 2
# How large a study may grow, in every direction.
MOST_TRIALS = 10_000
MOST_GOALS = 4
MOST_CONSTRAINTS = 10
MOST_CANDIDATES = 10_000


@dataclass(frozen=True, slots=True)
class Design:
    """What is searched and for what; fixed while the study runs."""

    space: Space
    goals: tuple[Direction, ...] = ("minimise",)
    constraints: tuple[str, ...] = ()
    """Names of outcomes that must come out at 0 or under."""
    seed: int = 0
    starts: int = 5
    """Trials spread evenly before the model is asked."""
    tolerance: float = 1e-3
    """The study has converged when less than this is to be gained; see `converged.py`."""
    sought: int = 1
    """How many good trials are wanted: improvement counts over the one of that rank.

    Over 1, a list of rough outcomes is searched for many good ones; see `pool.py`."""
    candidates: tuple[Parameters, ...] = ()
    """Where not empty, only these are asked for, each once."""

    def __post_init__(self) -> None:
        for setting, value, fine, wanted in _rules(self):
            if not fine:
                raise StudyError(f"{setting} is {value}; it must be {wanted}")
        for number, candidate in enumerate(self.candidates):
            try:
                self.space.row(candidate)
            except SpaceError as error:
                raise StudyError(f"candidate {number}: {error}") from error


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    parameters: Parameters
    state: State = "pending"
    values: tuple[float, ...] = ()
    constraints: tuple[float, ...] = ()
    gain: float | None = None
    """What was hoped for when it was asked, as a share of the spread; None: no model was asked."""

    @property
    def feasible(self) -> bool:
        return self.state == "told" and all(each <= 0 for each in self.constraints)


@dataclass(slots=True)
class Study:
    design: Design
    trials: list[Trial] = field(default_factory=list)

    @classmethod
    def start(cls, design: Design) -> Self:
        return cls(design)

    def ask(self, parameters: Mapping[str, Any], gain: float | None = None) -> Trial:
        """Enter a trial that is now on its way; its number is the next."""
        if len(self.trials) >= MOST_TRIALS:
            raise TrialError(
                f"the study has {MOST_TRIALS} trials, which is the limit: create another "
                "study and start it from the best ones"
            )
        self.design.space.row(parameters)
        if gain is not None and not math.isfinite(gain):
            raise TrialError(f"gain {gain}: it must be finite")
        trial = Trial(len(self.trials), dict(parameters), gain=gain)
        self.trials.append(trial)
        return trial

    def tell(
        self, number: int, values: Sequence[float] = (), constraints: Sequence[float] = (),
        *, failed: bool = False,
    ) -> Trial:  # fmt: skip
        """Enter the outcome of a pending trial, once; refused, nothing has changed."""
        before = self.trial(number)
        if before.state != "pending":
            raise TrialError(
                f"trial {number} already has an outcome: {before.state} {before.values}"
            )
        self.trials[number] = told = self._outcome(before, values, constraints, failed)
        return told

    def add(
        self, parameters: Mapping[str, Any], values: Sequence[float] = (),
        constraints: Sequence[float] = (), *, failed: bool = False,
    ) -> Trial:  # fmt: skip
        """Enter a trial that was run elsewhere, with its outcome."""
        self._outcome(Trial(0, {}), values, constraints, failed)  # refuses before anything changes
        number = self.ask(parameters).number
        return self.tell(number, values, constraints, failed=failed)

    def trial(self, number: int) -> Trial:
        whole = isinstance(number, int) and not isinstance(number, bool)
        if not whole or not 0 <= number < len(self.trials):
            raise TrialError(
                f"there is no trial {number!r}: the study has {len(self.trials)} trials, "
                "numbered from 0"
            )
        return self.trials[number]

    def completed(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "told"]

    def pending(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.state == "pending"]

    def _outcome(
        self, trial: Trial, values: Sequence[float], constraints: Sequence[float], failed: bool
    ) -> Trial:
        if failed:
            if len(values) or len(constraints):
                raise TrialError("a failed trial has no values")
            return Trial(trial.number, trial.parameters, "failed", gain=trial.gain)
        return Trial(
            trial.number, trial.parameters, "told",
            _numbers("values", values, len(self.design.goals)),
            _numbers("constraints", constraints, len(self.design.constraints)), trial.gain,
        )  # fmt: skip


def _numbers(what: str, given: Sequence[float], count: int) -> tuple[float, ...]:
    if len(given) != count:
        raise TrialError(f"{len(given)} {what} were given; the study needs {count}")
    for each in given:
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not math.isfinite(each):
            raise TrialError(f"{what} {list(given)}: each must be a finite number")
    return tuple(float(each) for each in given)


def _rules(design: Design) -> list[tuple[str, object, bool, str]]:
    goals, names = design.goals, design.constraints
    known = all(goal in ("minimise", "maximise") for goal in goals)
    return [
        ("goals", goals, known and 1 <= len(goals) <= MOST_GOALS, f"1 to {MOST_GOALS}, known"),
        ("constraints", names, len(names) <= MOST_CONSTRAINTS, f"at most {MOST_CONSTRAINTS}"),
        ("constraints", names, all(names) and len(set(names)) == len(names), "of different names"),
        ("seed", design.seed, 0 <= design.seed < 2**63, "0 to 2**63"),
        ("starts", design.starts, LEAST_STARTS <= design.starts <= MOST_TRIALS, "2 to 10,000"),
        ("sought", design.sought, 1 <= design.sought <= MOST_TRIALS, f"1 to {MOST_TRIALS}"),
        ("tolerance", design.tolerance, 0 <= design.tolerance < 1, "0 to 1"),
        (
            "candidates", f"{len(design.candidates)} long",
            len(design.candidates) <= MOST_CANDIDATES, f"at most {MOST_CANDIDATES}",
        ),
    ]  # fmt: skip
