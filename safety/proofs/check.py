"""Checks a whole policy: the one entry to the proofs, which imports the prover."""

import time
from collections.abc import Iterator, Mapping

from safety.policy import SafetyPolicy
from safety.proofs.budget import STEPS
from safety.proofs.contradictions import contradictions
from safety.proofs.differences import differences
from safety.proofs.emergency_rules import emergency_rules
from safety.proofs.fallbacks import fallbacks, places_kept
from safety.proofs.fields import ColumnsKnown, unknown_fields
from safety.proofs.findings import GRADES, Finding, Grade, Kind, Report
from safety.proofs.limits_held import Family
from safety.proofs.needless import needless
from safety.proofs.prover import Prover
from safety.proofs.reading import (
    draft_of,
    families_of,
    is_in_force,
    refusals_of,
    refusals_outside_families,
)

NOTHING_KNOWN = ColumnsKnown()
_ORDER = tuple(Grade)


def check_policy(
    written: object,
    known: Mapping[str, ColumnsKnown],
    active: SafetyPolicy | None = None,
    steps: int = STEPS,
    *,
    only_changed: bool = False,
) -> Report:
    """Check what somebody wrote as a policy, and what it lets through that the active one does not.

    `known` is what the platform's families have; a family that it lacks is checked by itself.
    With `only_changed` the families that the active policy judges just so are left out: they were
    checked before they came into force.
    """
    began, prover = time.monotonic(), Prover(steps)
    families = families_of(written)
    if isinstance(families, Finding):
        return Report(findings=(families,), families=())
    checked = {
        name: policy
        for name, policy in families.items()
        if not (only_changed and is_in_force(name, policy, active))
    }
    found = [
        each
        for name, policy in checked.items()
        for each in _of_family(name, policy, known.get(name), active, prover)
    ]
    found += [*refusals_outside_families(written), *_left_out(families, active)]
    found += emergency_rules(written, active)
    found.sort(key=lambda each: _ORDER.index(each.grade))
    return Report(
        findings=tuple(found),
        families=tuple(checked),
        questions=prover.questions,
        seconds=time.monotonic() - began,
    )


def _of_family(
    name: str,
    written: object,
    known: ColumnsKnown | None,
    active: SafetyPolicy | None,
    prover: Prover,
) -> Iterator[Finding]:
    draft = draft_of(name, written)
    if isinstance(draft, list):
        yield from draft
        return
    unknown = list(unknown_fields(name, draft, known))
    if unknown:
        yield from unknown
        return
    refused = list(refusals_of(name, written))
    family = Family.of(name, draft)
    proved = list(_proofs(family, known or NOTHING_KNOWN, prover))
    yield from proved
    if not any(each.grade is Grade.REFUSED for each in proved):
        yield from refused
    if active is not None and name in active.families:
        yield from differences(family, Family.of(name, active.families[name]), prover)


def _proofs(family: Family, known: ColumnsKnown, prover: Prover) -> Iterator[Finding]:
    broken = list(fallbacks(family, known, prover))
    yield from contradictions(family, prover, places_kept(family, broken))
    yield from broken
    yield from needless(family, prover)


def _left_out(families: Mapping[str, object], active: SafetyPolicy | None) -> Iterator[Finding]:
    for name in () if active is None else active.families:
        if name not in families:
            yield Finding(
                kind=Kind.LETS_THROUGH,
                grade=GRADES[Kind.LETS_THROUGH],
                family=name,
                rule="families",
                message=f"The active policy judges {name}, and this one does not: add it, unless "
                "the family is not served any more.",
            )
