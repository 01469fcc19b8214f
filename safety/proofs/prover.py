"""Puts questions to z3: is there a row of which this holds? Each in bounded time.

A question is asked of exact numbers first, whose examples are plain. Where there is none it is
asked again of rounded numbers (see floats), so that "there is none" holds of floats as well. An
example counts only once the code that serves confirms it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import z3

from safety.proofs.budget import STEPS, Budget
from safety.proofs.floats import Arithmetic, Number
from safety.proofs.plain import Example, plainer
from safety.proofs.refinement import broken_orders

# An example is as good without being plain: this much is spent on each try to make it so.
PLAIN_STEPS = STEPS // 10
# Whole numbers up to here, or thousandths, are plain.
PLAIN = 1_000_000
REFINEMENTS = 30


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as terms: the row that is looked for, and what must hold of it."""

    arithmetic: Arithmetic
    columns: Mapping[str, Number]
    holds: tuple[z3.BoolRef, ...]


@dataclass(frozen=True, slots=True)
class Proved:
    """There is no such row."""


@dataclass(frozen=True, slots=True)
class Found:
    """There is, and this is one."""

    example: Example


@dataclass(frozen=True, slots=True)
class Unknown:
    """Neither was shown."""

    why: str


GAVE_UP = Unknown("the prover gave up after as many steps as a question may take")
TO_THE_LAST_DIGIT = Unknown("rounding decides it: a limit is met to the last digit alone")

Verdict = Proved | Found | Unknown
Question = Callable[[Arithmetic], Posed]
Confirm = Callable[[Example], bool]
Tries = Callable[[z3.Solver, z3.ModelRef, Mapping[str, Number], Budget], Iterator[Example]]


@dataclass(slots=True)
class Prover:
    """Asks, and counts what it asked."""

    steps: int = STEPS
    questions: int = 0

    def decide(
        self, question: Question, confirm: Confirm, *, plain: bool = True, exact: bool = False
    ) -> Verdict:
        """Find a row that the code that serves confirms, or prove that there is none.

        Where nobody is shown the row it need not be plain. Where `exact`, it is proved of exact
        numbers alone.
        """
        self.questions += 1
        budget = Budget(self.steps)
        tries = examples if plain else any_example
        found = self._ask(question, confirm, tries, budget, rounded=False)
        if isinstance(found, Proved) and not exact:
            found = self._ask(question, confirm, tries, budget, rounded=True)
        if plain and isinstance(found, Found):
            return Found(plainer(found.example, confirm))
        return found

    def _ask(
        self,
        question: Question,
        confirm: Confirm,
        tries: Tries,
        budget: Budget,
        *,
        rounded: bool,
    ) -> Verdict:
        arithmetic = Arithmetic(rounded=rounded)
        posed = question(arithmetic)
        if rounded and not arithmetic.points:
            return Proved()  # nothing rounds: the exact question was this one
        solver = z3.SimpleSolver()
        solver.add(*arithmetic.facts, *posed.holds)
        for _ in range(REFINEMENTS):
            answer = budget.check(solver)
            if answer == z3.unsat:
                return Proved()
            if answer == z3.unknown:
                return GAVE_UP
            model = solver.model()
            for example in tries(solver, model, posed.columns, budget):
                if confirm(example):
                    return Found(example)
            orders = broken_orders(arithmetic, posed.columns, model)
            if not orders:
                break
            solver.add(*orders)
        return TO_THE_LAST_DIGIT


def examples(
    solver: z3.Solver, model: z3.ModelRef, columns: Mapping[str, Number], budget: Budget
) -> Iterator[Example]:
    """Give rows of which it holds, the plainest first."""
    for wish in _plainer(columns):
        solver.push()
        solver.add(*wish)
        if budget.check(solver, PLAIN_STEPS) == z3.sat:
            yield read(solver.model(), columns)
        solver.pop()
    yield read(model, columns)


def any_example(
    solver: z3.Solver, model: z3.ModelRef, columns: Mapping[str, Number], budget: Budget
) -> Iterator[Example]:
    """Give rows of which it holds, the first that was found before any plainer one."""
    yield read(model, columns)
    yield from examples(solver, model, columns, budget)


def _plainer(columns: Mapping[str, Number]) -> Iterator[list[z3.BoolRef]]:
    finite = [each.finite for each in columns.values()]
    reals = [each.real for each in columns.values() if not z3.is_rational_value(each.real)]
    for parts in (1, 1000):
        counts = [z3.FreshInt() for _ in reals]
        plain = [
            z3.And(real * parts == count, count <= PLAIN * parts, count >= -PLAIN * parts)
            for real, count in zip(reals, counts, strict=True)
        ]
        yield finite + plain
    yield finite


def read(model: z3.ModelRef, columns: Mapping[str, Number]) -> Example:
    return {name: _value(model, number) for name, number in columns.items()}


def _value(model: z3.ModelRef, number: Number) -> float:
    def holds(flag: z3.BoolRef) -> bool:
        return bool(z3.is_true(model.eval(flag, model_completion=True)))

    if holds(number.nan):
        return math.nan
    if holds(number.above):
        return math.inf
    if holds(number.below):
        return -math.inf
    return float(exactly(model, number.real))


def exactly(model: z3.ModelRef, term: z3.ArithRef) -> Fraction:
    found = model.eval(term, model_completion=True)
    return Fraction(found.numerator_as_long(), found.denominator_as_long())
