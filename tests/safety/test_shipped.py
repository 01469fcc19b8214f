"""What the shipped policy lets leave, by the numbers; and that old documents keep their hashes."""

import json
from typing import Any

import numpy as np
import pytest

from safety.capacity import capacity_policy
from safety.checker import Checker
from safety.fallback import Fallback
from safety.limits import Range, Relation
from safety.policy import FamilyPolicy, SafetyPolicy
from safety.shipped import default_policy
from safety.tail import tail_policy

# Of the release before conditions, changes and repairs by refusal, as its documents have them.
HASHES_BEFORE = {
    "extremes": "2d77f2e80e539b81",
    "forecast": "be1a490ac857271b",
    "regime": "d54aec1538354799",
    "anomaly": "10c954b124a8f4fa",
    "bandit": "044b2552a86bd5fa",
    "bandit-feedback": "7446aadd7bddb0b3",
    "bandit-evaluate": "5bb7ad05b8efbe1c",
    "bayes-opt": "37e8cd127742000b",
    "bayes-opt-tell": "37e8cd127742000b",
}
TAIL_BEFORE = "1a30ec341bd73cab"
# Fields that no document had then.
ADDED = {"name", "when", "changes", "forbidden", "rungs"}

PLANNED = {
    "request_rate": 1000.0,
    "active_workers": 10.0,
    "next_hour_workers": 12.0,
    "queue_capacity": 250.0,
    "rate": 1100.0,
    "lower": 900.0,
    "upper": 1300.0,
}


def leaves(policy: FamilyPolicy, **values: float) -> dict[str, float]:
    columns = {name: np.array([value]) for name, value in values.items()}
    checker = Checker(policy)
    found = Fallback(policy, checker).repair(columns, checker.check(columns, 1))
    assert not found.fallback[0]
    return {name: float(found.columns[name][0]) for name in policy.outputs}


@pytest.mark.parametrize(("family", "before"), HASHES_BEFORE.items())
def test_what_did_not_change_has_the_hash_that_it_had(family: str, before: str) -> None:
    assert default_policy().family(family).content_hash() == before


def test_a_policy_of_the_release_before_reads_as_it_did_and_keeps_its_hash() -> None:
    fields: dict[str, Any] = json.loads(tail_policy().model_dump_json())
    for kind in ("ranges", "relations"):
        fields[kind] = [limit for limit in fields[kind] if "when" not in limit]
    del fields["rungs"]
    assert not ADDED & {name for limit in fields["ranges"] + fields["relations"] for name in limit}
    assert not ADDED & fields.keys()
    assert FamilyPolicy.model_validate(fields).content_hash() == TAIL_BEFORE


@pytest.mark.parametrize(
    ("fleet", "wanted", "given"),
    [(10, 12, 12), (10, 500, 100), (100, 101, 100), (10, 0, 1), (300, 250, 250), (300, 400, 300)],
)
def test_a_plan_is_for_1_to_100_workers_or_the_fleet_that_there_is(
    fleet: float, wanted: float, given: float
) -> None:
    row = PLANNED | {"active_workers": fleet, "next_hour_workers": wanted}
    assert leaves(capacity_policy(), **row)["next_hour_workers"] == given


@pytest.mark.parametrize(("planned", "given"), [(49, 50), (50, 50), (10_000, 10_000), (1e6, 1e4)])
def test_a_queue_holds_50_to_10_000(planned: float, given: float) -> None:
    row = PLANNED | {"queue_capacity": planned}
    assert leaves(capacity_policy(), **row)["queue_capacity"] == given


@pytest.mark.parametrize("known", [True, False])
def test_a_fleet_that_nobody_knows_counts_as_small(known: bool) -> None:
    most = next(limit for limit in tail_policy().ranges if limit.name)
    assert isinstance(most, Range)
    checker = Checker(FamilyPolicy.model_validate(_only(most)))
    fleet = np.array([10.0 if known else np.nan])
    found = checker.check({"active_workers": fleet, "x": np.array([51.0])}, 1)
    assert most.name in [each.rule for each in found.violations[0]]


def _only(limit: Range | Relation) -> dict[str, Any]:
    """Make a policy of one limit, on a field without caps."""
    fields = limit.model_dump(mode="json") | {"field": "x"}
    return {
        "inputs": ["active_workers"],
        "outputs": ["x"],
        "ranges": [fields],
        "fallback": [{"kind": "constant", "field": "x", "value": 1}],
    }


def test_a_canary_gets_no_more_than_a_tenth() -> None:
    policy = default_policy().family("bandit")
    highs = [limit.high for limit in policy.all_ranges() if limit.field == "canary_percentage"]
    lows = [limit.low for limit in policy.all_ranges() if limit.field == "canary_percentage"]
    assert highs == [10.0, 10.0]
    assert 0 in lows


def test_the_shipped_policy_survives_json() -> None:
    text = default_policy().model_dump_json()
    assert SafetyPolicy.model_validate_json(text) == default_policy()
