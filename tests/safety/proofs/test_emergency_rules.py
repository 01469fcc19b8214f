"""No emergency rule of the policy in force is lost, or loosened, unnoticed."""

from typing import Any

import pytest

from benchmarks.safety.fleet import fleet
from safety.emergency import CriticalRule, DriftRule, EmergencyRules, ErrorRule
from safety.policy import SafetyPolicy
from safety.proofs.check import check_policy
from safety.proofs.findings import Finding, Grade, Kind

CRITICAL = {"count": 1000, "seconds": 60}
ERRORS = {"share": 0.5, "seconds": 30, "least_rows": 200}
DRIFT = {"family": "fleet", "field": "wait", "score": 0.25, "seconds": 300, "least_rows": 1000}
RULES = {"critical": CRITICAL, "errors": ERRORS, "drift": [DRIFT]}
ACTIVE = SafetyPolicy(
    families={},
    emergency=EmergencyRules(
        critical=CriticalRule.model_validate(CRITICAL),
        errors=ErrorRule.model_validate(ERRORS),
        drift=(DriftRule.model_validate(DRIFT),),
    ),
)


def found(beside: dict[str, Any], active: SafetyPolicy | None = ACTIVE) -> list[Finding]:
    report = check_policy({"families": {"fleet": fleet()}, **beside}, {}, active)
    assert report.passes == all(each.grade is not Grade.REFUSED for each in report.findings)
    return list(report.findings)


def test_without_the_section_every_rule_is_named() -> None:
    lost = found({})
    assert [(each.kind, each.grade) for each in lost] == 3 * [(Kind.LETS_THROUGH, Grade.NOTED)]
    assert [each.name for each in lost] == [
        "lets_through emergency.critical",
        "lets_through emergency.errors",
        "lets_through emergency.drift of fleet.wait",
    ]
    assert lost[0].message == (
        "The active policy turns emergency mode on at 1000 rows that broke critical limits within "
        "60 s, and this one has no such rule, so that it does not: add `emergency.critical` as it "
        "was, or approve this."
    )
    assert "add `emergency.drift` as it was" in lost[2].message


def test_the_same_rules_and_stricter_ones_are_nothing_to_name() -> None:
    assert found({"emergency": RULES}) == []
    stricter = {
        "critical": {"count": 10, "seconds": 120},
        "errors": ERRORS | {"share": 0.2, "least_rows": 100},
        "drift": [DRIFT | {"score": 9.0}, DRIFT | {"score": 0.1, "least_rows": 500}],
    }
    assert found({"emergency": stricter}) == []
    assert found({}, None) == []


@pytest.mark.parametrize(
    ("section", "looser", "rule"),
    [
        ("critical", CRITICAL | {"count": 1001}, "emergency.critical"),
        ("critical", CRITICAL | {"seconds": 59}, "emergency.critical"),
        ("critical", None, "emergency.critical"),
        ("errors", ERRORS | {"share": 0.6}, "emergency.errors"),
        ("errors", ERRORS | {"seconds": 60}, "emergency.errors"),
        ("errors", ERRORS | {"least_rows": 300}, "emergency.errors"),
        ("drift", [DRIFT | {"score": 0.3}], "emergency.drift of fleet.wait"),
        ("drift", [DRIFT | {"seconds": 10}], "emergency.drift of fleet.wait"),
        ("drift", [DRIFT | {"field": "other"}], "emergency.drift of fleet.wait"),
    ],
)
def test_a_looser_rule_is_named(section: str, looser: Any, rule: str) -> None:
    [only] = found({"emergency": RULES | {section: looser}})
    assert only.rule == rule
    assert "or approve this" in only.message


def test_rules_that_are_none_are_refused_and_not_compared() -> None:
    [only] = found({"emergency": {"critical": {"count": 0, "seconds": 60}}})
    assert (only.kind, only.rule) == (Kind.UNREADABLE, "emergency.critical.count")
