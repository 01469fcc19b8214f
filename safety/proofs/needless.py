"""Limits without any effect: those that can never be broken, and those that others stand before."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import z3

from safety.proofs.cores import kept
from safety.proofs.findings import Finding, Grade, Kind
from safety.proofs.floats import Arithmetic
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import (
    TO_THE_LAST_DIGIT,
    Found,
    Posed,
    Proved,
    Prover,
    Unknown,
    Verdict,
)
from safety.proofs.replay import broken
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import judged_row, posed
from safety.proofs.rule_terms import breaks, is_broken
from safety.proofs.words import condition_in_words, joined, row_in_words


def needless(family: Family, prover: Prover) -> Iterator[Finding]:
    """Find limits of the policy's own that never matter; of two alike the later one."""
    dropped: set[int] = set()
    for held in reversed(family.limits):
        if not held.own:
            continue
        found = _never_fires(family, held, prover) or _shadowed(family, held, dropped, prover)
        if found is not None:
            dropped.add(held.at)
            yield found


def _broken_without(
    arithmetic: Arithmetic, family: Family, held: Held, others: Sequence[Held]
) -> Posed:
    """Ask for a row that breaks a limit, and none of the others."""
    row = judged_row(family)
    spared = [z3.Not(breaks(arithmetic, family.policy, each, row)) for each in others]
    return posed(arithmetic, row, [breaks(arithmetic, family.policy, held, row), *spared], family)


def _never_fires(family: Family, held: Held, prover: Prover) -> Finding | None:
    verdict = prover.decide(
        lambda arithmetic: _broken_without(arithmetic, family, held, ()),
        lambda row: bool(broken(family, row)[held.at]),
        plain=False,
    )
    match verdict:
        case Found():
            return None
        case Unknown():
            return _undecided(family, held, f"anything breaks `{held.says}`", verdict)
        case Proved():
            near = _near_miss(family, held, prover)
            return finding(Kind.NEVER_FIRES, family, held, _why_never(held, near), near)


def _near_miss(family: Family, held: Held, prover: Prover) -> Example:
    """Give a row that would break the limit if its condition held; else any row of numbers."""
    always = replace(held, limit=held.limit and held.limit.model_copy(update={"when": None}))
    legal = [each for each in family.disbelieving() if each is not held]
    for wanted in ([always], []):

        def question(arithmetic: Arithmetic, wanted: Sequence[Held] = wanted) -> Posed:
            row = judged_row(family)
            broken_then = [breaks(arithmetic, family.policy, each, row) for each in wanted]
            there = [row[name].finite for name in held.columns]
            spared = kept(arithmetic, family, legal, row)
            return posed(arithmetic, row, [*broken_then, *there, *spared], family)

        def is_near(row: Example, wanted: Sequence[Held] = wanted) -> bool:
            would_break = all(is_broken(family.policy, each, row) for each in wanted)
            return would_break and not broken(family, row)[held.at]

        verdict = prover.decide(question, is_near, exact=True)
        if isinstance(verdict, Found):
            return verdict.example
    return {}


def _why_never(held: Held, near: Example) -> str:
    shown = row_in_words({name: value for name, value in near.items() if name in held.columns})
    when = None if held.limit is None else held.limit.when
    if when is None:
        change = "tighten it, or take it out"
    else:
        change = (
            f"see whether `{condition_in_words(when)}` can hold at all where the limit would be "
            "broken, and correct it, or take the limit out"
        )
    return f"Nothing breaks `{held.says}`, nor does {shown}: {change}."


def _shadowed(family: Family, held: Held, dropped: set[int], prover: Prover) -> Finding | None:
    others = [
        each
        for each in family.limits
        if each is not held
        and each.at not in dropped
        and each.columns <= held.columns
        and each.is_as_strict_as(held)
    ]
    if not others:
        return None

    verdict = _broken_alone(family, held, others, prover)
    match verdict:
        case Found():
            return None
        case Unknown():
            about = f"`{held.says}` is needed beside {joined([each.says for each in others])}"
            return _undecided(family, held, about, verdict)
        case Proved():
            return _shadowed_by(family, held, others, prover)


def _shadowed_by(family: Family, held: Held, others: Sequence[Held], prover: Prover) -> Finding:
    enough = list(others)
    for each in others:
        fewer = [other for other in enough if other is not each]
        if isinstance(_broken_alone(family, held, fewer, prover), Proved):
            enough = fewer
    message = (
        f"Whatever breaks `{held.says}` breaks {joined([each.says for each in enough])} too, "
        f"which is as strict: take it out, or tighten it."
    )
    example = _broken_row(family, held, prover)
    if example:
        shown = {name: value for name, value in example.items() if name in held.columns}
        message = f"{message} An example is {row_in_words(shown)}."
    return finding(Kind.SHADOWED, family, held, message, example, others=enough)


def _broken_alone(family: Family, held: Held, others: Sequence[Held], prover: Prover) -> Verdict:
    def confirm(row: Example) -> bool:
        hits = broken(family, row)
        return bool(hits[held.at]) and not any(hits[each.at] for each in others)

    return prover.decide(
        lambda arithmetic: _broken_without(arithmetic, family, held, others), confirm, plain=False
    )


def _undecided(family: Family, held: Held, about: str, unknown: Unknown) -> Finding | None:
    """Say that it is not known whether a limit is needed, unless rounding alone makes it so."""
    if unknown is TO_THE_LAST_DIGIT:
        return None
    return undecided(family, held, about, unknown, Grade.WARNED)


def _broken_row(family: Family, held: Held, prover: Prover) -> Example:
    """Give a row that breaks the limit, and nothing on its inputs if that can be."""
    for believed in (family.disbelieving(), []):

        def question(arithmetic: Arithmetic, legal: Sequence[Held] = believed) -> Posed:
            return _broken_without(arithmetic, family, held, legal)

        verdict = prover.decide(question, lambda row: bool(broken(family, row)[held.at]))
        if isinstance(verdict, Found):
            return verdict.example
    return {}
