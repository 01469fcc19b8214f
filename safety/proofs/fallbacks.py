"""Fallbacks that break the policy which they stand in for."""

from collections.abc import Iterator

import z3

from safety.proofs.answer_terms import answer, comes_of
from safety.proofs.columns_known import ColumnsKnown
from safety.proofs.findings import Finding, Grade, Kind
from safety.proofs.floats import Arithmetic
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import Found, Posed, Prover, Unknown
from safety.proofs.replay import broken, fallback
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import anything, in_order, posed
from safety.proofs.rule_terms import breaks
from safety.proofs.words import row_in_words


def fallbacks(family: Family, known: ColumnsKnown, prover: Prover) -> Iterator[Finding]:
    """Find limits that the fallback breaks with some inputs, or with all."""
    for held in family.limits:
        if held.limit is not None and _is_answered(family, held):
            yield from _broken_by_fallback(family, held, known, prover)


def _is_answered(family: Family, held: Held) -> bool:
    """Tell whether the limit is about what a fallback answers, and about nothing that it cannot."""
    outputs = set(family.policy.outputs)
    parameters = {each for each in held.columns - outputs if family.policy.is_answer(each)}
    return bool(held.columns & outputs) and not parameters


def _broken_by_fallback(
    family: Family, held: Held, known: ColumnsKnown, prover: Prover
) -> Iterator[Finding]:
    wanted = comes_of(family, held.columns)
    names = sorted(wanted - set(family.policy.outputs))

    def question(arithmetic: Arithmetic) -> Posed:
        given = {name: anything(name) for name in names}
        row = given | answer(arithmetic, family, given, wanted)
        believable = [
            z3.Not(breaks(arithmetic, family.policy, each, row))
            for each in _on_inputs(family, held)
        ]
        holds = [
            breaks(arithmetic, family.policy, held, row),
            *believable,
            *in_order(given, known.ordered),
        ]
        return posed(arithmetic, given, holds, family)

    def is_broken(given: Example) -> bool:
        hits = broken(family, given | fallback(family, given))
        return bool(hits[held.at]) and not any(hits[each.at] for each in _on_inputs(family, held))

    verdict = prover.decide(question, is_broken)
    match verdict:
        case Unknown():
            yield undecided(family, held, f"the fallback keeps `{held.says}`", verdict)
        case Found(example):
            yield _found(family, held, example)


def _on_inputs(family: Family, held: Held) -> list[Held]:
    """Give the limits without which the inputs of a limit are not to be believed."""
    given = held.columns - set(family.policy.outputs)
    return [
        each
        for each in family.limits
        if each.columns <= given and (each.limit is None or each.acts) and len(each.columns) == 1
    ]


def _found(family: Family, held: Held, example: Example) -> Finding:
    answered = fallback(family, example)
    said = {name: answered[name] for name in answered if name in held.columns}
    given = f"With {row_in_words(example)} the" if example else "The"
    message = (
        f"{given} fallback answers {row_in_words(said)}, which breaks `{held.says}`: correct the "
        "recipes of these fields, or loosen the limit."
    )
    grade = Grade.REFUSED if held.acts else Grade.WARNED
    return finding(Kind.FALLBACK_BREAKS, family, held, message, example, grade=grade)
