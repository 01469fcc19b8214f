"""Fallbacks that break the policy which they stand in for."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from safety.limits import ChangeLimit, Level, Repair
from safety.proofs.answer_terms import answer, comes_of
from safety.proofs.cores import kept
from safety.proofs.fields import ColumnsKnown
from safety.proofs.findings import Finding, Grade, Kind
from safety.proofs.floats import Arithmetic
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import Found, Posed, Prover, Question, Unknown
from safety.proofs.replay import broken, fallback
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import anything, in_order, posed
from safety.proofs.rule_terms import breaks
from safety.proofs.words import row_in_words


def fallbacks(family: Family, known: ColumnsKnown, prover: Prover) -> Iterator[Finding]:
    """Find limits that the fallback breaks with some inputs, or with all."""
    for held in family.limits:
        if _is_held_against_fallbacks(family, held):
            found = _broken_by(family, held, known, prover)
            if found is not None:
                yield found


def places_kept(family: Family, found: Sequence[Finding]) -> frozenset[int]:
    """Give the places of the limits that the fallback is proved to keep; none if any is broken.

    Findings name rules, and two limits may share a name.
    """
    if found:
        return frozenset()
    asked = (each for each in family.limits if _is_held_against_fallbacks(family, each))
    outputs = (each.at for each in family.limits if each.limit is None)  # they are always numbers
    return frozenset({*(each.at for each in asked), *outputs})


def _is_held_against_fallbacks(family: Family, held: Held) -> bool:
    """Tell whether a limit is about what a fallback answers, and about nothing that it cannot."""
    outputs = set(family.policy.outputs)
    parameters = {each for each in held.columns - outputs if family.policy.is_answer(each)}
    # No recipe knows the last answer: without a clamp, nothing keeps it near.
    is_jump = isinstance(held.limit, ChangeLimit) and held.rule.repair is not Repair.CLAMP
    is_on_trial = held.rule.level is Level.SAFE
    is_asked = held.limit is not None and bool(held.columns & outputs)
    return is_asked and not (parameters or is_jump or is_on_trial)


def _outside(family: Family, held: Held) -> list[str]:
    """Name what the fallback's answer comes of beside itself, as far as the limit is about it."""
    wanted, outputs = comes_of(family, held.columns), set(family.policy.outputs)
    doubts = [each for each in family.disbelieving() if each.rule.field in wanted]
    said_by_model = {name for each in doubts for name in each.columns & outputs}
    return sorted((wanted - outputs) | said_by_model)


def _broken_by(family: Family, held: Held, known: ColumnsKnown, prover: Prover) -> Finding | None:
    wanted, names = comes_of(family, held.columns), _outside(family, held)
    believed = _on_inputs(family, held)

    def question(arithmetic: Arithmetic) -> Posed:
        given = {name: anything(name) for name in names}
        row = given | answer(arithmetic, family, given, wanted)
        holds = [
            breaks(arithmetic, family.policy, held, row),
            *kept(arithmetic, family, believed, given),
            *in_order(given, known.ordered),
        ]
        return posed(arithmetic, given, holds, family)

    def is_broken(given: Example) -> bool:
        before, hits = broken(family, given), broken(family, given | fallback(family, given))
        return bool(hits[held.at]) and not any(before[each.at] for each in believed)

    verdict = prover.decide(question, is_broken)
    match verdict:
        case Unknown():
            grade = Grade.REFUSED if held.acts else Grade.WARNED
            return undecided(family, held, f"the fallback keeps `{held.says}`", verdict, grade)
        case Found(example):
            usual = prover.decide(
                _of_usual_inputs(family, question),
                lambda given: is_broken(given) and _is_usual(family, given),
            )
            return _found(family, held, usual.example if isinstance(usual, Found) else example)
    return None


def _of_usual_inputs(family: Family, question: Question) -> Question:
    """Ask the same of inputs that are there and in their ranges: it is what people look for."""

    def usual(arithmetic: Arithmetic) -> Posed:
        asked = question(arithmetic)
        row = asked.columns
        ranges = [each for each in family.disbelieving() if each.columns <= row.keys()]
        finite = [each.finite for each in row.values()]
        legal = kept(arithmetic, family, ranges, row)
        return replace(asked, holds=(*asked.holds, *finite, *legal))

    return usual


def _is_usual(family: Family, given: Example) -> bool:
    hits = broken(family, given)
    ranges = [each for each in family.disbelieving() if each.columns <= given.keys()]
    finite = all(math.isfinite(each) for each in given.values())
    return finite and not any(hits[each.at] for each in ranges)


def _on_inputs(family: Family, held: Held) -> list[Held]:
    """Give the limits that tell whether the inputs that a limit is about are to be believed.

    What is wrong with a row's inputs no fallback can mend.
    """
    inputs = held.columns & set(family.policy.inputs)
    finite = [each for each in family.limits if each.limit is None and each.columns <= inputs]
    return finite + [each for each in family.disbelieving() if each.rule.field in inputs]


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
