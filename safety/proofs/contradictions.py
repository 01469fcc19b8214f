"""Contradictions: limits that no answer can keep together, ever or with certain inputs."""

import time
from collections.abc import Iterator, Sequence

import z3

from safety.proofs.findings import Finding, Kind
from safety.proofs.floats import Arithmetic, Number, number
from safety.proofs.limits_held import Family, Held
from safety.proofs.prover import Example, Found, Posed, Proved, Prover, Unknown, check, exactly
from safety.proofs.replay import broken
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import arithmetic_knows, facts_of, finite, judged_row
from safety.proofs.rule_terms import Row, breaks
from safety.proofs.words import joined, row_in_words

ABOUT = "whether any answer keeps all limits"


def contradictions(family: Family, prover: Prover) -> Iterator[Finding]:
    """Find what no answer can keep: first whatever the inputs, else with some that are legal."""
    verdict = prover.decide(lambda arithmetic: _kept(arithmetic, family), _keeps_all(family))
    match verdict:
        case Proved():
            yield _never_kept(family, prover)
        case Unknown(why):
            yield undecided(family, "all", ABOUT, why)
        case Found():
            yield from _kept_sometimes(family, prover)


def _kept(arithmetic: Arithmetic, family: Family) -> Posed:
    row = judged_row(family, numbers_only=True)
    arithmetic_knows(arithmetic, family)
    kept = [z3.Not(breaks(arithmetic, each, row)) for each in family.limits]
    return Posed(arithmetic, row, (*facts_of(row), *kept))


def _keeps_all(family: Family) -> "Confirm":
    return lambda row: not broken(family, row).any()


def _never_kept(family: Family, prover: Prover) -> Finding:
    row = judged_row(family, numbers_only=True)
    core = smallest_core(row, family.limits, prover)
    last = next((each for each in reversed(core) if each.own), core[-1])
    others = tuple(each.says for each in core if each is not last)
    example = _example_but(last, core, row, prover)
    return finding(
        Kind.CONTRADICTION,
        family,
        last,
        f"No answer keeps {joined((*others, last.says))} together: loosen one of them.",
        example,
        others=others,
    )


def smallest_core(row: Row, limits: Sequence[Held], prover: Prover) -> list[Held]:
    """Give limits that cannot be kept together, none of which can be spared."""
    core = [each for each in limits if each.limit is not None]
    for each in list(core):
        fewer = [other for other in core if other is not each]
        if _solve(row, fewer, prover) is None:
            core = fewer
    return core


def _solve(
    row: Row, limits: Sequence[Held], prover: Prover, *also: z3.BoolRef
) -> z3.ModelRef | None:
    """Give a model of a row that keeps these limits, exactly; none where there is none."""
    arithmetic, solver = Arithmetic(rounded=False), z3.Solver()
    kept = [z3.Not(breaks(arithmetic, each, row)) for each in limits]
    solver.add(*facts_of(row), *kept, *also)
    answer = check(solver, time.monotonic() + prover.seconds)
    return None if answer == z3.unsat else _model(solver, answer)
