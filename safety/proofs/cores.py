"""Limits that cannot be kept together, and the rows that show it."""

from collections.abc import Sequence

import z3

from safety.proofs.budget import Budget
from safety.proofs.floats import Arithmetic
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import Prover, read
from safety.proofs.rows import facts_of, last_answer_kept
from safety.proofs.rule_terms import Row, breaks


def kept(
    arithmetic: Arithmetic, family: Family, limits: Sequence[Held], row: Row
) -> list[z3.BoolRef]:
    """Say that a row keeps each of these limits."""
    return [z3.Not(breaks(arithmetic, family.policy, each, row)) for each in limits]


def smallest_core(family: Family, limits: Sequence[Held], row: Row, prover: Prover) -> list[Held]:
    """Give limits that no such row keeps together, none of which can be spared."""
    core = list(limits)
    for each in limits:
        fewer = [other for other in core if other is not each]
        if is_impossible(family, fewer, row, prover):
            core = fewer
    return core


def is_impossible(family: Family, limits: Sequence[Held], row: Row, prover: Prover) -> bool:
    """Prove that no such row keeps all of these limits; False where that is not proved."""
    return bool(_solve(family, limits, row, prover)[1] == z3.unsat)


def row_that_keeps(family: Family, limits: Sequence[Held], row: Row, prover: Prover) -> Example:
    """Give a row that keeps these limits; an empty one where none is found."""
    solver, answer = _solve(family, limits, row, prover)
    return read(solver.model(), row) if answer == z3.sat else {}


def _solve(
    family: Family, limits: Sequence[Held], row: Row, prover: Prover
) -> tuple[z3.Solver, z3.CheckSatResult]:
    arithmetic, solver = Arithmetic(rounded=False), z3.SimpleSolver()
    solver.add(*facts_of(row), *last_answer_kept(arithmetic, family, row))
    solver.add(*kept(arithmetic, family, limits, row))
    return solver, Budget(prover.steps).check(solver)
