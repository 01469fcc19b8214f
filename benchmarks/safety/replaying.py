"""Holds what a check found against the code that serves: it must agree with each example.

A claim about all rows is held against many that are drawn; an example, against itself.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from benchmarks.safety.faults import Fault
from benchmarks.safety.fleet import MESSAGE
from safety.checker import Checker, Verdicts
from safety.fallback import Fallback
from safety.limits import Level
from safety.policy import FamilyPolicy
from safety.proofs.findings import Finding, Kind
from safety.proofs.reading import Draft

Columns = dict[str, npt.NDArray[np.float64]]

DRAWN = 2000
SEED = 12


def confirms(fault: Fault, found: Finding) -> bool:
    """Say whether the code that serves agrees with a finding; names alone need no row."""
    by_kind: Mapping[Kind, Callable[[FamilyPolicy, Fault, Finding], bool]] = {
        Kind.CONTRADICTION: _no_answer_is_left,
        Kind.FALLBACK_BREAKS: _fallback_breaks,
        Kind.NEVER_FIRES: _never_fires,
        Kind.SHADOWED: _another_fires_too,
        Kind.LETS_THROUGH: _leaves_now,
    }
    shows = by_kind.get(found.kind)
    if shows is None or (not found.rule.count(":") and found.kind is Kind.CONTRADICTION):
        return True
    return shows(Draft.model_validate(fault.policy), fault, found)


def row_of(found: Finding) -> Columns:
    """Give the example as a batch of one row."""
    return {
        name: np.array([np.nan if value is None else float(value)])
        for name, value in found.example.items()
    }


def drawn(policy: FamilyPolicy, fixed: Columns) -> Columns:
    """Draw rows around all numbers that the policy names, but for the columns that are fixed."""
    chance = np.random.default_rng(SEED)
    named = np.array(sorted(_numbers(policy.model_dump()) | {0.0, 1.0, -1.0}))
    with np.errstate(over="ignore"):
        beside = np.nextafter(named, np.inf), np.nextafter(named, -np.inf)
        near = np.concatenate([named, *beside, named * 1.5, named / 3])
    near = near[np.isfinite(near)]

    def column(name: str) -> npt.NDArray[np.float64]:
        if name in fixed:
            return np.repeat(fixed[name], DRAWN)
        if name.startswith("time."):
            return chance.integers(0, 2, DRAWN).astype(np.float64)
        return chance.choice(near, DRAWN)

    return {
        name: column(name) for name in (*policy.inputs, *policy.outputs, *policy.context_columns())
    }


def _numbers(value: object) -> set[float]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set[float]().union(*map(_numbers, value))
    return {value} if isinstance(value, float) else set()


def _no_answer_is_left(policy: FamilyPolicy, _: Fault, found: Finding) -> bool:
    """Try many answers to the example's inputs: each must break something."""
    inputs = {name: value for name, value in row_of(found).items() if not policy.is_answer(name)}
    verdicts = Checker(policy).check(drawn(policy, inputs), DRAWN)
    return bool((verdicts.levels > Level.SAFE.code).all())


def _fallback_breaks(policy: FamilyPolicy, _: Fault, found: Finding) -> bool:
    given, checker = row_of(found), Checker(policy)
    answered = Fallback(policy, checker).answer(given, 1)
    return found.rule in _broken(checker.check({**given, **answered}, 1), 0)


def _never_fires(policy: FamilyPolicy, _: Fault, found: Finding) -> bool:
    checker = Checker(policy)
    one = checker.check(row_of(found), 1)
    many = checker.check(drawn(policy, {}), DRAWN)
    return not _is_planted(one, 0) and not any(_is_planted(many, row) for row in range(DRAWN))


def _another_fires_too(policy: FamilyPolicy, _: Fault, found: Finding) -> bool:
    """Try many rows: whatever breaks the planted limit breaks one that is as grave."""
    checker = Checker(policy)
    one = checker.check(row_of(found), 1)
    many = checker.check(drawn(policy, {}), DRAWN)
    hits = [row for row in range(DRAWN) if _is_planted(many, row)]
    return (
        _is_planted(one, 0)
        and bool(hits)
        and _has_another(one, 0)
        and all(_has_another(many, row) for row in hits)
    )


def _leaves_now(policy: FamilyPolicy, fault: Fault, found: Finding) -> bool:
    """Let both policies repair the row: the active one does, the new one leaves it alone."""
    row = row_of(found)
    active = Draft.model_validate((fault.active or {})["families"][fault.family])
    return found.rule in _broken(Checker(active).check(row, 1), 0) and (
        _is_repaired(active, row) and not _is_repaired(policy, row)
    )


def _is_repaired(policy: FamilyPolicy, row: Columns) -> bool:
    checker = Checker(policy)
    repaired = Fallback(policy, checker).repair(row, checker.check(row, 1))
    return bool(repaired.fallback[0] or repaired.clamped[0])


def _broken(verdicts: Verdicts, row: int) -> list[str]:
    return [each.rule for each in verdicts.violations.get(row, ())]


def _is_planted(verdicts: Verdicts, row: int) -> bool:
    return any(each.message == MESSAGE for each in verdicts.violations.get(row, ()))


def _has_another(verdicts: Verdicts, row: int) -> bool:
    found = verdicts.violations.get(row, ())
    least = min((each.level.code for each in found if each.message == MESSAGE), default=0)
    return sum(each.level.code >= least for each in found) > 1
