"""Whatever a policy says, a batch is judged and repaired as its rows are, one by one, in words."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.runtime.batch import Columns
from safety.checker import Checker
from safety.fallback import Fallback
from safety.policy import FamilyPolicy
from tests.safety import plainly
from tests.safety.policies import CALM_ROWS, COLUMNS, POLICY, ROWS, SMALL_POLICY

Rows = list[dict[str, float]]


def columns_of(rows: Rows) -> Columns:
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def same(found: float, expected: float) -> bool:
    return found == expected or (math.isnan(found) and math.isnan(expected))


@given(POLICY, ROWS)
def test_a_batch_is_judged_as_its_rows_are_in_plain_python(
    policy: FamilyPolicy, rows: Rows
) -> None:
    verdicts = Checker(policy).check(columns_of(rows), len(rows))
    for at, row in enumerate(rows):
        expected = plainly.carry_out(row, policy)
        broken = [each.rule for each in verdicts.violations.get(at, ())]
        assert (verdicts.level(at), broken) == (expected.level, expected.broken)


@given(SMALL_POLICY, CALM_ROWS)
def test_a_batch_that_breaks_nothing_is_told_from_one_that_does(
    policy: FamilyPolicy, rows: Rows
) -> None:
    verdicts = Checker(policy).check(columns_of(rows), len(rows))
    expected = [plainly.carry_out(row, policy) for row in rows]
    assert [verdicts.level(at) for at in range(len(rows))] == [each.level for each in expected]
    assert (verdicts.broken is None) == (not any(each.broken for each in expected))


@given(POLICY, ROWS)
def test_a_batch_is_repaired_as_its_rows_are_in_plain_python(
    policy: FamilyPolicy, rows: Rows
) -> None:
    checker = Checker(policy)
    columns = columns_of(rows)
    repaired = Fallback(policy, checker).repair(columns, checker.check(columns, len(rows)))
    for at, row in enumerate(rows):
        expected = plainly.carry_out(row, policy)
        refused, alarm = repaired.refused.get(at), repaired.alarms.get(at)
        assert (None if refused is None else refused.name) == expected.refused
        assert (None if alarm is None else alarm.name) == expected.alarm
        assert bool(repaired.fallback[at]) is expected.fallback
        assert bool(repaired.clamped[at]) is expected.clamped
        for name, value in expected.row.items():
            assert same(float(repaired.columns[name][at]), value), name


@given(POLICY, ROWS)
def test_a_row_is_judged_the_same_alone_and_in_company(policy: FamilyPolicy, rows: Rows) -> None:
    checker = Checker(policy)
    together = checker.check(columns_of(rows), len(rows))
    for at, row in enumerate(rows):
        alone = checker.check(columns_of([row]), 1)
        assert alone.levels[0] == together.levels[at]
        assert alone.violations.get(0) == together.violations.get(at)


@given(POLICY)
def test_a_policy_is_the_same_after_json_and_so_is_its_hash(policy: FamilyPolicy) -> None:
    again = FamilyPolicy.model_validate_json(policy.model_dump_json())
    assert again == policy
    assert again.content_hash() == policy.content_hash()


@given(POLICY, ROWS, st.sampled_from(COLUMNS))
def test_a_column_that_is_left_out_counts_as_one_without_numbers(
    policy: FamilyPolicy, rows: Rows, name: str
) -> None:
    checker = Checker(policy)
    columns: dict[str, Any] = columns_of(rows)
    nothing = columns | {name: np.full(len(rows), np.nan)}
    del columns[name]
    without, empty = checker.check(columns, len(rows)), checker.check(nothing, len(rows))
    assert without.levels.tolist() == empty.levels.tolist()
    assert without.violations == empty.violations


AROUND_ONE = [0.0, math.nextafter(1, 0), 1.0, math.nextafter(1, 2), 2.0]


@pytest.mark.parametrize("op", plainly.OPERATORS)
@pytest.mark.parametrize("value", AROUND_ONE)
def test_a_condition_with_a_number_holds_on_its_own_side_alone(op: str, value: float) -> None:
    condition = {"left": "a", "op": op, "right": 1}
    stop = {"name": "stop", "when": condition, "level": "unsafe", "message": "m"}
    policy = FamilyPolicy.model_validate(
        {
            "inputs": ["a"],
            "outputs": ["x"],
            "forbidden": [stop],
            "fallback": [{"kind": "constant", "field": "x", "value": 1}],
        }
    )
    found = Checker(policy).check({"a": np.array([value]), "x": np.array([1.0])}, 1)
    assert (found.broken is not None) is plainly.OPERATORS[op](value, 1.0)
