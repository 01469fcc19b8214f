"""What leaves instead of an answer that may not: clamped fields, or the conservative rule's row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray, FloatArray, none_of
from safety.checker import Checker, Columns, Verdicts
from safety.columns import is_parameter
from safety.limits import Level, Repair
from safety.policy import FamilyPolicy
from safety.recipes import Constant, Multiple, Recipe, Threshold
from safety.rules import Between, Rule

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Repaired:
    """A batch that may leave, and which of its rows are no longer the model's."""

    columns: Mapping[str, FloatArray]
    fallback: BoolArray  # rows answered by the conservative rule; those refused are among them
    clamped: BoolArray  # rows of the model with at least one field moved to its limit
    refused: Mapping[int, Rule]  # rows that are to get no answer, and the rule that says so
    alarms: Mapping[int, Rule]  # rows that broke a rule which calls for emergency mode


class Fallback:
    """Compiled once from a family's policy, next to its checker."""

    def __init__(self, policy: FamilyPolicy, checker: Checker) -> None:
        self._policy = policy
        self._checker = checker
        self._recipes = policy.recipes()
        rules = checker.rules
        self._acts = _mask(policy.responses.substitutes(rule.level) for rule in rules)
        self._acting = np.flatnonzero(self._acts)
        self._is_clamp = _mask(rule.repair is Repair.CLAMP for rule in rules)
        # A limit on trial changes nothing, not even what the fallback says.
        on_trial = _mask(rule.level is Level.SAFE for rule in rules)
        self._clamps = np.flatnonzero(self._is_clamp & ~on_trial)
        self._calls = self._acts & _mask(rule.repair is Repair.EMERGENCY for rule in rules)
        refuses = _mask(rule.repair is Repair.REFUSE for rule in rules)
        # No fallback suggests a trial: a parameter that cannot be moved is refused.
        of_parameter = _mask(rule.field is not None and is_parameter(rule.field) for rule in rules)
        self._refuses_at_last = self._acts & (refuses | of_parameter)
        self._refuses = self._refuses_at_last & ~self._is_clamp
        self._disbelieves = [
            (at, rule.field)
            for at, rule in enumerate(rules)
            if isinstance(rule.measure, Between)
            and self._acts[at]
            and rule.repair is Repair.FALLBACK
            and rule.field in policy.inputs
        ]

    def repair(self, columns: Columns, verdicts: Verdicts) -> Repaired:
        """Clamp what may be clamped, and answer the other rows that may not leave anew."""
        broken = verdicts.broken
        if broken is None or none_of(broken.take(self._acting, axis=0)):  # warnings at most
            nobody = np.zeros(len(verdicts.levels), dtype=np.bool_)
            return Repaired(columns, nobody, nobody, {}, {})
        lost = _any_of(broken, self._acts & ~self._is_clamp)
        clamped = _any_of(broken, self._acts & self._is_clamp) & ~lost
        refused = self._first_of(broken, self._refuses)
        alarms = self._first_of(broken, self._calls)
        repaired = dict(columns)
        with np.errstate(over="ignore", invalid="ignore"):
            if clamped.any():
                clamps = np.flatnonzero(self._acts & self._is_clamp)
                # A moved field may break what it was fine with before: the row is lost after all.
                still = self._clamp(repaired, clamps, clamped, broken) & clamped
                lost = lost | _any_of(still, self._acts)
                refused |= self._first_of(still, self._refuses_at_last)
                alarms |= self._first_of(still, self._calls)
            if lost.any():
                self._overwrite(repaired, self.answer(repaired, len(lost)), lost)
        return Repaired(repaired, lost, clamped & ~lost, refused, alarms)

    def barred(self, columns: Columns, n: int) -> tuple[Mapping[int, Rule], Mapping[int, Rule]]:
        """Name the rows that are refused whoever answers them, and those that call an emergency."""
        if not (self._refuses | self._calls).any():
            return {}, {}
        broken = self._checker.check(columns, n).broken
        if broken is None:
            return {}, {}
        return self._first_of(broken, self._refuses), self._first_of(broken, self._calls)

    def answer(self, columns: Columns, n: int) -> dict[str, FloatArray]:
        """Answer n rows without any model: every output, from the recipes, within the caps."""
        known = self._believable(columns, n)
        with np.errstate(over="ignore", invalid="ignore"):
            for recipe in self._recipes:
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
        doubted = [(at, field) for at, field in self._disbelieves if field in known]
        if doubted:
            with np.errstate(over="ignore", invalid="ignore"):
                broken = self._checker.broken(self._checker.matrix(columns, n))
            for at, field in doubted:
                known[field] = np.where(broken[at], np.nan, known[field])
        return known

    def _clamp(
        self,
        columns: dict[str, FloatArray],
        places: Places,
        rows: BoolArray,
        broken: BoolArray | None = None,
    ) -> BoolArray:
        """Carry out the clamps one after another, and say what is broken in the end.

        A later clamp sees what an earlier one moved. `broken` is of these columns, where known.
        """
        matrix = self._checker.matrix(columns, len(rows))
        if broken is None:
            broken = self._checker.broken(matrix)
        while places.size:
            hits = broken[places] & rows
            hit = np.flatnonzero(hits.any(axis=1))
            if not hit.size:
                break
            rule, move = self._checker.rules[places[hit[0]]], hits[hit[0]]
            places = places[hit[0] + 1 :]
            bound = rule.bound(matrix)
            move = move & np.isfinite(bound)
            if move.any() and rule.field is not None:
                columns[rule.field] = np.where(move, bound, columns[rule.field])
                matrix[self._checker.fields.index(rule.field)] = columns[rule.field]
                broken = self._checker.broken(matrix)
        return self._checker.reported(broken)

    def _first_of(self, broken: BoolArray, rules: BoolArray) -> dict[int, Rule]:
        """Give of each row the first of these rules that it broke."""
        places = np.flatnonzero(rules)
        of_rules = broken[places]
        rows = np.flatnonzero(of_rules.any(axis=0))
        first = places[of_rules[:, rows].argmax(axis=0)] if rows.size else rows
        rules_of = self._checker.rules
        return {row: rules_of[at] for row, at in zip(rows.tolist(), first.tolist(), strict=True)}

    def _overwrite(self, columns: dict[str, FloatArray], answer: Columns, rows: BoolArray) -> None:
        for field in self._policy.outputs:
            if field in columns:
                columns[field] = np.where(rows, answer[field], columns[field])
            else:
                columns[field] = answer[field]


def _mask(values: Iterable[bool]) -> BoolArray:
    return np.array(list(values), dtype=np.bool_)


def _any_of(broken: BoolArray, rules: BoolArray) -> BoolArray:
    """Say which rows broke at least one of these rules."""
    hit: BoolArray = np.any(broken[rules], axis=0)
    return hit


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
