"""Random search for what the proofs exclude: a fallback that breaks a policy that was passed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.safety.faults import planted
from benchmarks.safety.sound import Sound, sound
from deployments.api.shipped import known_columns
from safety.checker import Checker
from safety.fallback import Fallback
from safety.limits import ChangeLimit, Range, Repair
from safety.policy import FamilyPolicy
from safety.proofs.check import check_policy
from safety.proofs.fallbacks import fallbacks
from safety.proofs.fields import ColumnsKnown
from safety.proofs.findings import Grade, Kind
from safety.proofs.limits_held import Family
from safety.proofs.prover import Prover
from safety.proofs.reading import Draft
from tests.safety.proofs.test_terms import answered

Columns = dict[str, npt.NDArray[np.float64]]
Bools = npt.NDArray[np.bool_]

ROWS = 500
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-300, 1e300, 1.7976931348623157e308)
FACTORS = (1.0, 1 - 2**-53, 1 + 2**-52, -1.0, 0.5, 1.1, 3.0)
# Of the numbers drawn, those beside what the policy names; the others are any.
SHARE_NEAR = 0.7
SEEDS = st.integers(0, 2**32)


def numbers_in(value: object) -> set[float]:
    """Give the numbers that a policy names: a fault is most likely beside one."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return set[float]().union(*map(numbers_in, value))
    return {float(value)} if isinstance(value, int | float) else set()


def rows_near(policy: FamilyPolicy, seed: int) -> Columns:
    """Draw rows of numbers beside those that the policy names, of special ones, and of any."""
    chance = np.random.default_rng(seed)
    named = np.array(sorted(numbers_in(policy.model_dump())))
    with np.errstate(over="ignore"):
        near = np.concatenate([SPECIAL, *(named * factor for factor in FACTORS)])
    anywhere = chance.standard_cauchy(ROWS) * 10.0 ** chance.integers(-3, 6, ROWS)

    def column(name: str) -> npt.NDArray[np.float64]:
        if name.startswith("time."):
            return chance.choice([0.0, 1.0, np.nan], ROWS)
        return np.where(chance.random(ROWS) < SHARE_NEAR, chance.choice(near, ROWS), anywhere)

    return {name: column(name) for name in read_by_fallback(policy)}


def read_by_fallback(policy: FamilyPolicy) -> list[str]:
    reads = {name for recipe in policy.recipes() for name in recipe.reads()}
    columns = {*policy.inputs, *policy.context_columns(), *reads} - set(policy.outputs)
    return sorted(columns)


def broken_by_fallback(policy: FamilyPolicy, given_columns: Columns, n: int) -> list[str]:
    """Say what the fallback's answers break, of that which is held against them."""
    checker = Checker(policy)
    answers = Fallback(policy, checker).answer(given_columns, n)
    with np.errstate(all="ignore"):
        matrix = checker.matrix({**given_columns, **answers}, n)
        hits = checker.broken(matrix)
        before = checker.broken(checker.matrix(given_columns, n))
    # Only the first are of numbers that must be there.
    first = len(policy.inputs) + len(policy.outputs)
    doubted: dict[str, Bools] = {name: before[at] for at, name in enumerate(policy.inputs)}
    for at, limit in enumerate(policy.all_limits(), first):
        doubts = isinstance(limit, Range) and limit.repair is Repair.FALLBACK and policy.acts(limit)
        if doubts and limit.governs()[0] in doubted:
            doubted[limit.governs()[0]] |= before[at]
    found = []
    for at, limit in enumerate(policy.all_limits(), first):
        columns = policy.columns_of(limit)
        is_jump = isinstance(limit, ChangeLimit) and limit.repair is not Repair.CLAMP
        mentions = any(name in policy.outputs for name in columns)
        of_trials = any(name.startswith("parameter.") for name in columns)
        if policy.acts(limit) and mentions and not (is_jump or of_trials):
            unknown = [doubted[name] for name in columns if name in doubted]
            excused = np.any(unknown, axis=0) if unknown else np.zeros(n, np.bool_)
            if (hits[at] & ~excused & last_was_legal(policy, given_columns, n)).any():
                found.append(checker.rules[at].name)
    return found


def last_was_legal(policy: FamilyPolicy, columns: Columns, n: int) -> Bools:
    """Say of which rows the last answer kept the ranges that always hold, as it must have."""
    legal = np.ones(n, np.bool_)
    for limit in policy.all_ranges():
        last = columns.get(f"last.{limit.field}")
        if last is not None and limit.when is None and policy.acts(limit):
            low = -np.inf if limit.low is None else limit.low
            high = np.inf if limit.high is None else limit.high
            above = last > low if limit.above_low else last >= low
            legal &= ~np.isfinite(last) | (above & (last <= high))
    age = columns.get("last.age_seconds")
    return legal if age is None else legal & ~(age < 0)


def ordered(family: str, columns: Columns) -> Columns:
    known = known_columns().get(family)
    for lesser, greater in known.ordered if known else ():
        both = np.sort([columns[lesser], columns[greater]], axis=0)
        columns = columns | {lesser: both[0], greater: both[1]}
    return columns


def named(policy: Sound) -> str:
    return policy.name


@pytest.mark.parametrize("policy", sound(), ids=named)
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_no_row_is_found_with_which_a_sound_fallback_breaks_its_policy(
    policy: Sound, seed: int
) -> None:
    read = FamilyPolicy.model_validate(policy.policy)
    columns = ordered(policy.family, rows_near(read, seed))
    assert broken_by_fallback(read, columns, ROWS) == []


@given(answered(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_what_is_passed_of_random_policies_is_broken_by_no_row(
    drawn: tuple[FamilyPolicy, Any], seed: int
) -> None:
    """Of a random policy either an example is found, or no row that is searched breaks it."""
    policy, _ = drawn
    found = list(fallbacks(Family.of("drawn", policy), ColumnsKnown(), Prover()))
    told = {each.rule for each in found}
    assert set(broken_by_fallback(policy, rows_near(policy, seed), ROWS)) <= told


def test_the_search_finds_what_was_planted() -> None:
    """A search that found nothing anywhere would prove nothing."""
    fault = next(
        each for each in planted() if each.name == "an interval cut short at its upper end"
    )
    policy = Draft.model_validate(fault.policy)
    columns = {name: np.full(1, 5000.0) for name in read_by_fallback(policy)}
    assert broken_by_fallback(policy, columns, 1) == ["relation:lower<=upper"]


def test_a_refused_policy_has_a_grade_that_says_so() -> None:
    fault = next(each for each in planted() if each.kind is Kind.FALLBACK_BREAKS)
    report = check_policy(fault.written(), known_columns())
    assert [each.grade for each in report.findings] == [Grade.REFUSED]
