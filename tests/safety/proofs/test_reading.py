"""What is no policy is said to be none, each part at its place."""

from typing import Any

import pytest

from benchmarks.safety.fleet import fleet, limit
from safety.proofs.check import check_policy
from safety.proofs.findings import Finding, Kind
from safety.shipped import default_policy


def found(written: object) -> list[Finding]:
    return list(check_policy(written, {}).findings)


@pytest.mark.parametrize("written", [None, [], "policy", {}, {"families": []}, {"safety": {}}])
def test_what_has_no_families_is_no_policy(written: object) -> None:
    [only] = found(written)
    assert only.kind is Kind.UNREADABLE
    assert "needs `families`" in only.message


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"outputs": 3}, "outputs", "valid tuple"),
        ({"surprise": 1}, "surprise", "Extra inputs"),
        ({"ranges": [limit(field="load")]}, "ranges[0]", "needs a low or a high bound"),
        ({"caps": {"min_admit_fraction": 0}}, "caps.min_admit_fraction", "greater than 0"),
        (
            {"ranges": [limit(field="load", low=0, when={"left": "load", "op": "~", "right": 1})]},
            "ranges[0].when.op",
            "Input should be",
        ),
    ],
)
def test_a_part_that_is_none_is_named(changes: dict[str, Any], place: str, said: str) -> None:
    [only] = found({"families": {"fleet": fleet() | changes}})
    assert (only.kind, only.family, only.rule) == (Kind.UNREADABLE, "fleet", place)
    assert said in only.message


def test_what_stands_beside_the_families_is_read_too() -> None:
    [only] = found({"families": {"fleet": fleet()}, "surprise": 1})
    assert (only.kind, only.family, only.rule) == (Kind.UNREADABLE, "", "surprise")


def test_a_policy_is_found_in_a_whole_configuration() -> None:
    assert found({"serving": {}, "safety": {"families": {"fleet": fleet()}}}) == []


def test_what_is_in_force_just_so_is_not_checked_again_where_that_is_asked_for() -> None:
    active = default_policy()
    shipped = active.model_dump(mode="json")
    same = check_policy(shipped, {}, active, only_changed=True)
    assert (same.families, same.questions, same.findings) == ((), 0, ())
    bandit = shipped["families"]["bandit-evaluate"]
    crossed = [
        {"kind": "constant", "field": "lower", "value": 1},
        {"kind": "constant", "field": "upper", "value": 0},
    ]
    shipped["families"]["bandit-evaluate"] = bandit | {"fallback": crossed}
    shipped["families"]["fleet"] = fleet()  # which the active policy does not judge
    changed = check_policy(shipped, {}, active, only_changed=True)
    assert set(changed.families) == {"bandit-evaluate", "fleet"}
    assert {each.family for each in changed.findings} == {"bandit-evaluate"}
    assert not changed.passes
    shipped["families"]["bandit"] = 3
    assert "bandit" in check_policy(shipped, {}, active, only_changed=True).families


def test_a_family_that_is_left_out_is_told() -> None:
    report = check_policy({"families": {}}, {}, default_policy())
    told = {each.family for each in report.findings if each.rule == "families"}
    assert told == set(default_policy().families)
    assert report.passes
