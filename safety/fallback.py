"""What leaves instead of an answer that may not: clamped fields, or the conservative rule's row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safety.checker import Checker, Columns, Verdicts
from safety.limits import Repair
from safety.policy import FamilyPolicy
from safety.recipes import Constant, Multiple, Recipe, Threshold
from safety.rules import BoolArray, FloatArray, RangeRule, Rule


@dataclass(frozen=True, slots=True)
class Repaired:
    """A batch that may leave, and which of its rows are no longer the model's."""

    columns: Mapping[str, FloatArray]
    fallback: BoolArray  # rows answered by the conservative rule
    clamped: BoolArray  # rows of the model with at least one field moved to its limit


class Fallback:
    """Compiled once from a family's policy, next to its checker."""

    def __init__(self, policy: FamilyPolicy, checker: Checker) -> None:
        self._policy = policy
        self._checker = checker
        self._clamps = tuple(r for r in checker.rules if r.repair is Repair.CLAMP)
        acts = [policy.responses.substitutes(r.level) for r in checker.rules]
        self._acts = np.array(acts, dtype=np.bool_)
        self._is_clamp = np.array([r.repair is Repair.CLAMP for r in checker.rules])
        self._input_ranges = tuple(
            rule
            for rule, acting in zip(checker.rules, acts, strict=True)
            if acting and isinstance(rule, RangeRule) and rule.field in policy.inputs
        )
        self._acting_clamps = tuple(
            rule
            for rule, acting in zip(checker.rules, acts, strict=True)
            if acting and rule.repair is Repair.CLAMP
        )

    def repair(self, columns: Columns, verdicts: Verdicts) -> Repaired:
        """Clamp what may be clamped, and answer the other rows that may not leave anew."""
        if verdicts.broken is None:
            nobody = np.zeros(len(verdicts.levels), dtype=np.bool_)
            return Repaired(columns, nobody, nobody)
        lost = self._any_of(verdicts.broken, self._acts & ~self._is_clamp)
        clamped = self._any_of(verdicts.broken, self._acts & self._is_clamp) & ~lost
        with np.errstate(over="ignore", invalid="ignore"):
            return self._carry_out(dict(columns), lost, clamped)

    def _carry_out(
        self, repaired: dict[str, FloatArray], lost: BoolArray, clamped: BoolArray
    ) -> Repaired:
        n = len(lost)
        if clamped.any():
            self._clamp(repaired, self._acting_clamps, clamped)
            # A moved field may break what it was fine with before: then the row is lost after all.
            lost = lost | (clamped & self._still_broken(repaired, n))
        if lost.any():
            self._overwrite(repaired, self.answer(repaired, n), lost)
        return Repaired(repaired, lost, clamped & ~lost)

    def answer(self, columns: Columns, n: int) -> dict[str, FloatArray]:
        """Answer n rows without any model: every output, from the recipes, within the caps."""
        known = self._believable(columns, n)
        with np.errstate(over="ignore", invalid="ignore"):
            for recipe in self._policy.fallback:
                cooked = _cook(recipe, known, n)
                whole = recipe.field in self._policy.whole
                known[recipe.field] = np.ceil(cooked) if whole else cooked
            self._clamp(known, self._clamps, np.ones(n, dtype=np.bool_))
        return {field: known[field] for field in self._policy.outputs}

    def _believable(self, columns: Columns, n: int) -> dict[str, FloatArray]:
        """Keep the inputs, with NaN where one is outside its own range and so tells nothing."""
        known: dict[str, FloatArray] = {
            field: column for field, column in columns.items() if field not in self._policy.outputs
        }
        matrix = self._checker.matrix(columns, n)
        for rule in self._input_ranges:
            if rule.field in known:
                known[rule.field] = np.where(rule.broken(matrix), np.nan, rule.value(matrix))
        return known

    def _clamp(
        self, columns: dict[str, FloatArray], rules: tuple[Rule, ...], rows: BoolArray
    ) -> None:
        n = len(rows)
        for rule in rules:
            matrix = self._checker.matrix(columns, n)
            bound = rule.bound(matrix)
            move = rows & rule.broken(matrix) & np.isfinite(bound)
            if move.any():
                columns[rule.field] = np.where(move, bound, columns[rule.field])

    def _still_broken(self, columns: Columns, n: int) -> BoolArray:
        broken = self._checker.check(columns, n).broken
        if broken is None:
            return np.zeros(n, dtype=np.bool_)
        return self._any_of(broken, self._acts)

    @staticmethod
    def _any_of(broken: BoolArray, rules: BoolArray) -> BoolArray:
        """Say which rows broke at least one of these rules."""
        hit: BoolArray = np.any(broken[rules], axis=0)
        return hit

    def _overwrite(self, columns: dict[str, FloatArray], answer: Columns, rows: BoolArray) -> None:
        for field in self._policy.outputs:
            if field in columns:
                columns[field] = np.where(rows, answer[field], columns[field])
            else:
                columns[field] = answer[field]


def _cook(recipe: Recipe, known: Columns, n: int) -> npt.NDArray[np.float64]:
    match recipe:
        case Constant():
            return np.full(n, recipe.value)
        case Multiple():
            source = _read(known, recipe.of, n)
            product = np.clip(recipe.times * source, recipe.low, recipe.high)
            # Asked of the source: one product may overflow where its smaller sibling does not, and
            # must then end at the high bound, or the two would cross.
            return np.where(np.isfinite(source), product, recipe.otherwise)
        case Threshold():
            within = _read(known, recipe.of, n) <= _read(known, recipe.over, n)
            return np.where(within, recipe.within, recipe.beyond)


def _read(known: Columns, field: str, n: int) -> npt.NDArray[np.float64]:
    column = known.get(field)
    return np.full(n, np.nan) if column is None else np.asarray(column, dtype=np.float64)
