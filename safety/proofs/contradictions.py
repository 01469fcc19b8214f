"""Contradictions: limits that no answer keeps together, ever or with inputs that are legal."""

import time
from collections.abc import Iterator, Sequence

import z3

from safety.limits import Level
from safety.proofs.findings import Finding, Kind
from safety.proofs.floats import Arithmetic, Number, number
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example, plainer
from safety.proofs.prover import Found, Proved, Prover, Unknown, check, read
from safety.proofs.replay import broken
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import facts_of, judged_row, posed
from safety.proofs.rule_terms import Row, breaks
from safety.proofs.words import joined, row_in_words

ABOUT = "some answer keeps all limits"


def contradictions(family: Family, prover: Prover) -> Iterator[Finding]:
    """Find what no answer can keep: first whatever the inputs, else with some that are legal."""
    row, judged = judged_row(family, numbers_only=True), _judged(family)
    verdict = prover.decide(
        lambda arithmetic: posed(arithmetic, row, _kept(arithmetic, family, judged, row), family),
        lambda example: not any(broken(family, example)[each.at] for each in judged),
        plain=False,
    )
    match verdict:
        case Proved():
            yield _never_kept(family, row, prover)
        case Unknown():
            yield undecided(family, None, ABOUT, verdict)
        case Found():
            yield from _not_always_kept(family, row, prover)


def _judged(family: Family) -> list[Held]:
    """Give the limits that an answer shall keep: those on trial aside."""
    return [each for each in family.limits if each.rule.level is not Level.SAFE]


def _kept(
    arithmetic: Arithmetic, family: Family, limits: Sequence[Held], row: Row
) -> list[z3.BoolRef]:
    return [z3.Not(breaks(arithmetic, family.policy, each, row)) for each in limits]


def _never_kept(family: Family, row: Row, prover: Prover) -> Finding:
    core = _smallest(family, _judged(family), row, prover)
    last = next((each for each in reversed(core) if each.own), core[-1])
    others = [each for each in core if each is not last]
    example = _kept_by(family, others, row, prover) or {}
    shown = {name: value for name, value in example.items() if _is_read(name, core)}
    alone = f"`{last.says}` is kept by no answer: correct it."
    together = f"No answer keeps {joined([each.says for each in core])} together: loosen one."
    message = f"{together} {row_in_words(shown)} breaks the last alone." if others else alone
    return finding(Kind.CONTRADICTION, family, last, message, example, others=others)


def _not_always_kept(family: Family, row: Row, prover: Prover) -> Iterator[Finding]:
    """Find legal inputs with which every answer breaks a limit that is acted on."""
    acting = [each for each in family.limits if each.acts and _is_on_answers(family, each)]
    answers = [name for name in row if family.policy.is_answer(name)]
    if not any(_is_on_inputs(family, each) for each in acting):
        return
    prover.questions += 1
    arithmetic, solver = Arithmetic(rounded=False), z3.Solver()
    legal = [each for each in _judged(family) if not _is_on_answers(family, each)]
    given = {name: value for name, value in row.items() if name not in answers}
    solver.add(*facts_of(given), *_kept(arithmetic, family, legal, row))
    some_kept = z3.And(*_kept(arithmetic, family, acting, row))
    solver.add(z3.ForAll([row[name].real for name in answers], z3.Not(some_kept)))
    answer = check(solver, time.monotonic() + prover.seconds)
    if answer == z3.unknown:
        why = Unknown(f"the prover gave up within {prover.seconds:g} s")
        yield undecided(family, None, f"{ABOUT}, whatever the inputs", why)
    elif answer == z3.sat:
        inputs = read(solver.model(), given)
        yield _not_kept_with(family, row, acting, inputs, prover)


def _is_on_answers(family: Family, held: Held) -> bool:
    return any(family.policy.is_answer(column) for column in held.columns)


def _is_on_inputs(family: Family, held: Held) -> bool:
    return not all(family.policy.is_answer(column) for column in held.columns)


def _not_kept_with(
    family: Family, row: Row, acting: Sequence[Held], inputs: Example, prover: Prover
) -> Finding:
    legal = [each for each in _judged(family) if not _is_on_answers(family, each)]

    def is_impossible(given: Example) -> bool:
        with_inputs = _with(row, given)
        is_legal = _kept_by(family, legal, with_inputs, prover) is not None
        return is_legal and _kept_by(family, acting, with_inputs, prover) is None

    plain = plainer(inputs, is_impossible)
    core = _smallest(family, acting, _with(row, plain), prover)
    last = next((each for each in reversed(core) if each.own), core[-1])
    shown = {name: value for name, value in plain.items() if _is_read(name, core)}
    message = (
        f"With {row_in_words(shown)} no answer keeps {joined([each.says for each in core])}: "
        "loosen one, or narrow the range of the inputs."
    )
    others = [each for each in core if each is not last]
    return finding(Kind.CONTRADICTION, family, last, message, plain, others=others)


def _is_read(name: str, limits: Sequence[Held]) -> bool:
    return any(name in each.columns for each in limits)


def _with(row: Row, given: Example) -> dict[str, Number]:
    return {name: number(given[name]) if name in given else each for name, each in row.items()}


def _smallest(family: Family, limits: Sequence[Held], row: Row, prover: Prover) -> list[Held]:
    """Give limits that cannot be kept together, none of which can be spared."""
    core = list(limits)
    for each in limits:
        fewer = [other for other in core if other is not each]
        if _kept_by(family, fewer, row, prover) is None:
            core = fewer
    return core


def _kept_by(family: Family, limits: Sequence[Held], row: Row, prover: Prover) -> Example | None:
    """Give a row that keeps these limits; none where there is none."""
    arithmetic, solver = Arithmetic(rounded=False), z3.Solver()
    solver.add(*facts_of(row), *_kept(arithmetic, family, limits, row))
    if check(solver, time.monotonic() + prover.seconds) != z3.sat:
        return None
    return read(solver.model(), row)
