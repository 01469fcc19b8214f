"""What a new policy lets leave that the active one holds back."""

from collections.abc import Iterator

import z3

from safety.proofs.findings import Finding, Grade, Kind
from safety.proofs.floats import Arithmetic
from safety.proofs.limits_held import Family, Held
from safety.proofs.plain import Example
from safety.proofs.prover import Found, Posed, Prover, Unknown
from safety.proofs.replay import broken, leaves
from safety.proofs.reporting import finding, undecided
from safety.proofs.rows import judged_row, posed
from safety.proofs.rule_terms import breaks
from safety.proofs.words import row_in_words


def differences(family: Family, active: Family, prover: Prover) -> Iterator[Finding]:
    """Find limits of the active policy without which a row leaves as the model gave it."""
    for held in active.limits:
        if held.acts:
            yield from _let_through(family, active, held, prover)


def _let_through(family: Family, active: Family, held: Held, prover: Prover) -> Iterator[Finding]:
    def question(arithmetic: Arithmetic) -> Posed:
        row = judged_row(active) | judged_row(family)
        kept = [
            z3.Not(breaks(arithmetic, family.policy, each, row))
            for each in family.limits
            if each.acts
        ]
        return posed(
            arithmetic, row, [breaks(arithmetic, active.policy, held, row), *kept], family, active
        )

    def is_let_through(row: Example) -> bool:
        return bool(broken(active, row)[held.at]) and leaves(family, row)

    verdict = prover.decide(question, is_let_through)
    match verdict:
        case Unknown():
            about = f"all that breaks `{held.says}` of the active policy is held back"
            yield undecided(family, held, about, verdict, Grade.WARNED)
        case Found(example):
            shown = {name: value for name, value in example.items() if name in held.columns}
            message = (
                f"{row_in_words(shown)} breaks `{held.says}` of the active policy, and would leave "
                "as the model gave it: approve this, or keep the limit."
            )
            yield finding(Kind.LETS_THROUGH, family, held, message, example)
