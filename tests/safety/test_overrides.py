from dataclasses import dataclass

import numpy as np
import pytest

from safety.errors import ImpossibleOverrideError
from safety.overrides import CHECKS, OFF, Overrides, number_of
from safety.policy import FamilyPolicy
from safety.tail import tail_policy


@dataclass(frozen=True)
class Kept:
    """An override as steering keeps it."""

    id: str
    field: str
    value: float | str
    entity: str = ""
    created: float = 0.0
    expires: float = 100.0


def columns(policy: FamilyPolicy, n: int) -> dict[str, np.ndarray]:
    return {name: np.zeros(n) for name in policy.outputs}


@pytest.mark.parametrize(
    ("field", "value", "number"),
    [
        ("p99_pred", 12.5, 12.5),
        ("p99_pred", -1e12, -1e12),  # the policy would not let it leave; a person may
        ("action", "page", 3.0),
        ("action", 1, 1.0),
        ("autoscale_workers", 40, 40.0),
        (CHECKS, OFF, 0.0),
    ],
)
def test_what_a_field_can_be_is_taken(field: str, value: float | str, number: float) -> None:
    assert number_of(tail_policy(), field, value) == number


@pytest.mark.parametrize(
    ("field", "value", "at"),
    [
        ("p42", 1.0, "field"),
        ("load", 1.0, "field"),  # an input is no part of an answer
        ("p99_pred", float("nan"), "value"),
        ("p99_pred", float("inf"), "value"),
        ("p99_pred", "high", "value"),
        ("action", "panic", "value"),
        ("action", 4, "value"),
        ("action", 0.5, "value"),
        ("autoscale_workers", 2.5, "value"),
        (CHECKS, "on", "value"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(field: str, value: float | str, at: str) -> None:
    with pytest.raises(ImpossibleOverrideError) as refused:
        number_of(tail_policy(), field, value)
    assert refused.value.at == at


def test_each_row_gets_the_overrides_of_its_entity_until_they_end() -> None:
    policy = tail_policy()
    overrides = Overrides(
        policy,
        [
            Kept("all", "autoscale_workers", 40.0),
            Kept("own", "autoscale_workers", 8.0, entity="pricing"),
            Kept("late", "action", "page", entity="pricing", expires=50.0),
        ],
    )
    before = columns(policy, 3)
    found = overrides.apply(before, ["auth", "pricing", "pricing"], 49.9)
    assert found.columns["autoscale_workers"].tolist() == [40.0, 8.0, 8.0]
    assert found.columns["action"].tolist() == [0.0, 3.0, 3.0]
    both = {"autoscale_workers": "own", "action": "late"}
    assert found.ids == {0: {"autoscale_workers": "all"}, 1: both, 2: both}
    assert not any(column.any() for column in before.values())
    found = overrides.apply(before, ["pricing"], 50.0)
    assert found.ids == {0: {"autoscale_workers": "own"}}
    assert overrides.apply(before, ["pricing"], 100.0).ids == {}


def test_of_two_for_the_same_the_later_one_counts_in_whatever_order_they_are_kept() -> None:
    policy = tail_policy()
    kept = [Kept("o1", "p99_pred", 1.0, created=1.0), Kept("o2", "p99_pred", 2.0, created=2.0)]
    for wanted in (kept, kept[::-1]):
        found = Overrides(policy, wanted).apply(columns(policy, 1), ["auth"], 3.0)
        assert (found.columns["p99_pred"][0], found.ids) == (2.0, {0: {"p99_pred": "o2"}})


def test_what_another_policy_has_no_field_for_is_left_out() -> None:
    assert not Overrides(tail_policy(), [Kept("o1", "propensity", 0.5), Kept("o2", CHECKS, OFF)])
