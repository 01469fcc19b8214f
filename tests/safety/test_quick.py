"""What is told quickly of a batch is what holding every rule against every row tells of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.arrays import all_of, none_of
from safety.checker import Checker, Verdicts
from safety.policy import FamilyPolicy
from safety.shipped import default_policy
from tests.safety.policies import CALM_ROWS, COLUMNS, POLICY, ROWS, SMALL_POLICY
from tests.safety.test_language import Rows, columns_of
from tests.safety.thorough import Thorough

FAMILIES = default_policy().families
# On both sides of what the shipped limits are about.
TELLING = st.sampled_from([0.0, 0.5, 1.0, 2.0, 12.0, 50.0, 51.0, 300.0, 60_001.0, np.nan, np.inf])


def agree(quick: Verdicts, thorough: Verdicts) -> None:
    np.testing.assert_array_equal(quick.levels, thorough.levels)
    assert quick.violations == thorough.violations
    assert thorough.broken is not None
    if quick.broken is None:
        assert not thorough.broken.any()
    else:
        np.testing.assert_array_equal(quick.broken, thorough.broken)
        assert quick.broken.any()


@given(POLICY, ROWS)
def test_any_batch_has_the_same_verdicts(policy: FamilyPolicy, rows: Rows) -> None:
    columns = columns_of(rows)
    agree(Checker(policy).check(columns, len(rows)), Thorough(policy).check(columns, len(rows)))


@given(SMALL_POLICY, CALM_ROWS)
def test_so_has_one_that_breaks_little(policy: FamilyPolicy, rows: Rows) -> None:
    columns = columns_of(rows)
    agree(Checker(policy).check(columns, len(rows)), Thorough(policy).check(columns, len(rows)))


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
def test_so_has_one_of_each_family_that_ships(family: str, data: st.DataObject) -> None:
    policy = FAMILIES[family]
    rows = data.draw(st.integers(0, 4))
    columns = {
        name: np.array(data.draw(st.lists(TELLING, min_size=rows, max_size=rows)), np.float64)
        for name in policy.inputs + policy.outputs
    }
    agree(Checker(policy).check(columns, rows), Thorough(policy).check(columns, rows))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lone_row_that_keeps_all_that_ships_is_told_without_numpy(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = FAMILIES[family]
    checker, thorough = Checker(policy), Thorough(policy)
    columns = {name: np.ones(1) for name in policy.inputs + policy.outputs}
    columns |= {"queue_capacity": np.full(1, 100.0)}
    assert not thorough.check(columns, 1).violations
    monkeypatch.setattr(checker, "matrix", None)  # which the other way begins with
    assert checker.check(columns, 1).broken is None


@given(POLICY, ROWS, st.sets(st.sampled_from(COLUMNS)), st.sampled_from(["f4", "f8"]))
def test_columns_are_laid_out_as_one_by_one(
    policy: FamilyPolicy, rows: Rows, left_out: set[str], kind: str
) -> None:
    with np.errstate(over="ignore"):
        whole = {name: each.astype(kind) for name, each in columns_of(rows).items()}
    columns = {name: each for name, each in whole.items() if name not in left_out}
    found = Checker(policy).matrix(columns, len(rows))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, Thorough(policy).matrix(columns, len(rows)))


@given(st.lists(st.lists(st.booleans(), min_size=2, max_size=2), max_size=4))
def test_counting_tells_what_any_and_all_do(values: list[list[bool]]) -> None:
    found = np.array(values, np.bool_)
    assert none_of(found) == (not found.any())
    assert all_of(found) == found.all()
