"""Contradictions: limits that no answer keeps together, ever or with inputs that are legal."""

from collections.abc import Collection, Iterator, Sequence

import z3

from safety.limits import Level
from safety.proofs.budget import Budget
from safety.proofs.cores import is_impossible, kept, row_that_keeps, smallest_core
from safety.proofs.findings import Finding, Kind
from safety.proofs.floats import Arithmetic, Number, number
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example, plainer
from safety.proofs.prover import GAVE_UP, Found, Proved, Prover, Unknown, read
from safety.proofs.replay import broken
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import facts_of, judged_row, last_answer_kept, posed
from safety.proofs.rule_terms import Row
from safety.proofs.words import joined, row_in_words

ABOUT = "some answer keeps all limits"
QUANTIFIED_MS = 2_000
UNCONFIRMED = Unknown("the example that was found is none to the code that serves")


def contradictions(
    family: Family, prover: Prover, kept_by_fallback: Collection[int] = ()
) -> Iterator[Finding]:
    """Find what no answer can keep: first whatever the inputs, else with some that are legal.

    Limits that the fallback keeps, by their places, are kept by one answer at least: its own.
    """
    row, judged = judged_row(family, known_inputs=True), _judged(family)
    verdict = prover.decide(
        lambda arithmetic: posed(arithmetic, row, kept(arithmetic, family, judged, row), family),
        lambda example: not any(broken(family, example)[each.at] for each in judged),
        plain=False,
        exact=True,
    )
    match verdict:
        case Proved():
            yield _show_contradiction(
                family, smallest_core(family, judged, row, prover), row, {}, prover
            )
        case Unknown():
            yield undecided(family, None, ABOUT, verdict)
        case Found():
            yield from _with_some_inputs(family, row, prover, kept_by_fallback)


def _judged(family: Family) -> list[Held]:
    """Give the limits that an answer shall keep: those on trial aside."""
    return [each for each in family.limits if each.rule.level is not Level.SAFE]


def _with_some_inputs(
    family: Family, row: Row, prover: Prover, kept_by_fallback: Collection[int]
) -> Iterator[Finding]:
    """Find legal inputs with which every answer breaks a limit that is acted on."""
    acting = [each for each in family.limits if each.acts]
    legal = [each for each in acting if not _answers_in(family, each)]
    for limits in _together(family, [each for each in acting if _answers_in(family, each)]):
        if all(each.columns == _answers_in(family, each) for each in limits):
            continue  # nothing depends on the inputs, so that the question was answered before
        if all(each.at in kept_by_fallback for each in limits):
            continue
        inputs = _impossible_inputs(family, row, legal, limits, prover)
        if isinstance(inputs, Unknown):
            yield undecided(family, limits[-1], f"{ABOUT}, whatever the inputs", inputs)
        elif inputs is not None:
            yield _not_kept_with(family, row, legal, limits, inputs, prover)


def _together(family: Family, limits: Sequence[Held]) -> list[list[Held]]:
    """Part limits into groups that share no answer: each group can be kept by itself or not."""
    groups: list[tuple[frozenset[str], list[Held]]] = []
    for held in limits:
        answers = _answers_in(family, held)
        joined_by = [group for group in groups if group[0] & answers]
        groups = [group for group in groups if not group[0] & answers]
        merged = sorted([held, *(each for _, of in joined_by for each in of)], key=_place)
        groups.append((answers.union(*(each for each, _ in joined_by)), merged))
    return [of for _, of in groups]


def _place(held: Held) -> int:
    return held.at


def _answers_in(family: Family, held: Held) -> frozenset[str]:
    return frozenset(each for each in held.columns if family.policy.is_answer(each))


def _impossible_inputs(
    family: Family, row: Row, legal: Sequence[Held], limits: Sequence[Held], prover: Prover
) -> Example | Unknown | None:
    """Ask for inputs that break nothing by themselves, with which no answer is left."""
    prover.questions += 1
    arithmetic = Arithmetic(rounded=False)
    answers = sorted({name for each in limits for name in _answers_in(family, each)})
    given = {name: each for name, each in row.items() if not family.policy.is_answer(name)}
    asked = [*facts_of(given), *last_answer_kept(arithmetic, family, given)]
    asked += kept(arithmetic, family, legal, row)
    some_answer = z3.And(*kept(arithmetic, family, limits, row))
    asked.append(z3.ForAll([row[name].real for name in answers], z3.Not(some_answer)))
    # The one is quick and gives up at times; the other decides all, and knows no steps.
    for solver in (z3.Solver(), z3.TryFor(z3.Tactic("qsat"), QUANTIFIED_MS).solver()):
        solver.add(*asked)
        found = Budget(prover.steps).check(solver)
        if found == z3.sat:
            return read(solver.model(), given)
        if found == z3.unsat:
            return None
    return GAVE_UP


def _not_kept_with(
    family: Family,
    row: Row,
    legal: Sequence[Held],
    limits: Sequence[Held],
    inputs: Example,
    prover: Prover,
) -> Finding:
    def shows(tried: Example) -> bool:
        fixed = _with(row, tried)
        is_legal = bool(row_that_keeps(family, legal, fixed, prover))
        return is_legal and is_impossible(family, limits, fixed, prover)

    inputs = plainer(inputs, shows)
    fixed = _with(row, inputs)
    return _show_contradiction(
        family, smallest_core(family, limits, fixed, prover), fixed, inputs, prover
    )


def _with(row: Row, given: Example) -> dict[str, Number]:
    return {name: number(given[name]) if name in given else each for name, each in row.items()}


def _show_contradiction(
    family: Family, core: Sequence[Held], row: Row, inputs: Example, prover: Prover
) -> Finding:
    """Show the contradiction by a row that keeps all of the core but one."""
    last = next((each for each in reversed(core) if each.own), core[-1])
    others = [each for each in core if each is not last]
    example = row_that_keeps(family, others, row, prover)
    if example and not broken(family, example)[last.at]:
        return undecided(family, last, ABOUT, UNCONFIRMED)
    read_by_core = {column for each in core for column in each.columns}
    shown = {name: value for name, value in inputs.items() if name in read_by_core}
    given = f"With {row_in_words(shown)} no" if shown else "No"
    says = joined([*(each.says for each in others), last.says])
    change = "loosen one of them" if others else "correct it"
    return finding(
        Kind.CONTRADICTION,
        family,
        last,
        f"{given} answer keeps {says}{' together' if others else ''}: {change}"
        f"{', or narrow the range of the inputs' if shown else ''}.",
        example,
        others=others,
    )
