"""The fallback ladder of a family: which rung answers a row that may not leave.

Each rung's answer is judged like a model's, and where it breaks a limit the next rung answers. The
last one, the constants within the caps, is always there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray, FloatArray
from safety.checker import Checker
from safety.fallback import Fallback
from safety.limits import Limit
from safety.policy import FamilyPolicy
from safety.rules import Between, Finite, Never
from safety.rungs import Rung

Doubles = npt.NDArray[np.float64]
Columns = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class LastAnswers:
    """What is known of the last safe answers of a batch's entities, a value a row."""

    columns: Columns
    age_seconds: Doubles  # NaN where none is known

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """Give those of these rows alone."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        return type(self)(columns, self.age_seconds[rows])


@dataclass(frozen=True, slots=True)
class Answers:
    """The outputs of every row, and the code of the rung that gave them."""

    columns: dict[str, Doubles]
    rungs: Doubles


class Ladder:
    """Compiled once from a family's policy, next to its checker."""

    def __init__(self, policy: FamilyPolicy, checker: Checker) -> None:
        self._policy = policy
        self._checker = checker
        self._recipes = Fallback(policy, checker)
        constants = policy.model_copy(update={"fallback": policy.constants()})
        self._constants = Fallback(constants, checker)
        self._reads = tuple(
            sorted(
                {name for recipe in policy.recipes() for name in recipe.reads()}
                - set(policy.outputs)
            )
        )
        rules = checker.rules
        acting = [at for at, each in enumerate(rules) if policy.responses.substitutes(each.level)]
        forbidding = {
            each.name for each in policy.forbidden if not _reads_inputs_alone(policy, each)
        }
        self._judging = [
            (at, rules[at])
            for at in acting
            if rules[at].field in policy.outputs or rules[at].name in forbidding
        ]
        self._doubting = [
            (at, rules[at].field)
            for at in acting
            if isinstance(rules[at].measure, Between) and rules[at].field in policy.inputs
        ]

    def answer(self, columns: Columns, n: int, last: LastAnswers | None = None) -> Answers:
        """Answer n rows without their model; without last answers that rung is left out."""
        constants = self._constants.answer(columns, n)
        found = {field: np.asarray(each, np.float64) for field, each in constants.items()}
        columns = self._believed(columns, n)
        rungs = np.full(n, float(Rung.CONSTANT.code))
        if self._reads:
            self._try_baseline(found, rungs, columns, n)
        limit = self._policy.rungs.last_safe_seconds
        if limit is not None and last is not None:
            self._try_last(found, rungs, columns, last, limit)
        return Answers(found, rungs)

    def _try_baseline(
        self, found: dict[str, Doubles], rungs: Doubles, columns: Columns, n: int
    ) -> None:
        """Take the recipes' answers where they hold; they are constants where nothing is read."""
        cooked = self._recipes.answer(columns, n)
        holds = self._holds(columns, cooked, n)
        known = self._known(columns, n)
        _take(found, cooked, holds)
        rungs[holds & known] = Rung.BASELINE.code

    def _try_last(
        self,
        found: dict[str, Doubles],
        rungs: Doubles,
        columns: Columns,
        last: LastAnswers,
        limit: float,
    ) -> None:
        n = len(rungs)
        with np.errstate(invalid="ignore"):
            usable = (last.age_seconds <= limit) & (last.age_seconds >= 0)
        for name in self._policy.rungs.same:
            usable &= _same(columns.get(name), last.columns.get(name), n)
        if not usable.any():
            return
        answer = {field: last.columns[field] for field in self._policy.outputs}
        usable &= self._holds(columns, answer, n)
        _take(found, answer, usable)
        rungs[usable] = Rung.LAST_SAFE.code

    def _believed(self, columns: Columns, n: int) -> Columns:
        """Put NaN where an input is outside its own range, and so tells nothing."""
        if not self._doubting:
            return columns
        with np.errstate(over="ignore", invalid="ignore"):
            broken = self._checker.broken(self._checker.matrix(columns, n))
        believed = dict(columns)
        for at, field in self._doubting:
            if field in believed and broken[at].any():
                believed[field] = np.where(broken[at], np.nan, believed[field])
        return believed

    def _known(self, columns: Columns, n: int) -> BoolArray:
        """Say of which rows everything is known that the recipes read."""
        known = np.ones(n, dtype=np.bool_)
        for name in self._reads:
            column = columns.get(name)
            known &= np.zeros(n, dtype=np.bool_) if column is None else np.isfinite(column)
        return known

    def _holds(self, columns: Columns, answer: Columns, n: int) -> BoolArray:
        """Judge a rung's answers: by the limits on outputs, as far as there is anything to compare.

        What is wrong with a row's inputs no rung can mend.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            matrix = self._checker.matrix({**columns, **answer}, n)
            broken = self._checker.broken(matrix)
            holds = np.ones(n, dtype=np.bool_)
            for at, rule in self._judging:
                hit = broken[at]
                if hit.any() and not isinstance(rule.measure, Finite | Never):
                    hit = hit & np.isfinite(rule.bound(matrix))
                holds &= ~hit
        return holds


def _reads_inputs_alone(policy: FamilyPolicy, limit: Limit) -> bool:
    """Tell whether no answer of another rung could keep a limit that this one breaks."""
    return not any(policy.is_answer(column) for column in policy.columns_of(limit))


def _take(found: dict[str, Doubles], answer: Columns, rows: BoolArray) -> None:
    for field, column in found.items():
        found[field] = np.where(rows, answer[field], column)


def _same(now: FloatArray | None, then: FloatArray | None, n: int) -> BoolArray:
    """Compare a column with what it was; left out then and now is the same too."""
    if now is None or then is None:
        return np.zeros(n, dtype=np.bool_)
    same: BoolArray = (now == then) | (np.isnan(now) & np.isnan(then))
    return same
