"""Each planted fault is found, and the code that serves agrees with the example."""

from collections import Counter

import pytest

from benchmarks.safety import proofs
from benchmarks.safety.faults import Fault, planted
from benchmarks.safety.fleet import fleet
from benchmarks.safety.replaying import confirms
from benchmarks.safety.sound import Sound, sound
from safety.proofs.check import check_policy
from safety.proofs.findings import Finding, Grade, Kind

FAULTS, SOUND = planted(), sound()


def named(policy: Fault | Sound) -> str:
    return policy.name


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    checked = proofs.check_fault(fault)
    assert checked.is_right, checked.told
    assert checked.seconds < proofs.MOST_SECONDS


@pytest.mark.parametrize("policy", SOUND, ids=named)
def test_a_sound_policy_passes(policy: Sound) -> None:
    checked = proofs.check_sound(policy)
    assert checked.is_right, checked.told
    assert checked.seconds < proofs.MOST_SECONDS


def test_there_are_thirty_of_each_and_all_kinds() -> None:
    kinds = Counter(fault.kind for fault in FAULTS)
    assert len(FAULTS) >= 30
    assert len(SOUND) >= 30
    assert kinds.keys() == set(Kind) - {Kind.UNDECIDED}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        # A row that the limit allows, one that another limit alone breaks, and legal inputs.
        (Kind.FALLBACK_BREAKS, {"slo_ms": 200.0}),
        (Kind.SHADOWED, {"wait_ms": 70.0}),
        (Kind.CONTRADICTION, {"error_rate": 0.01}),
        (Kind.LETS_THROUGH, {"canary_percentage": 3.0}),
    ],
)
def test_an_example_that_shows_nothing_is_not_confirmed(
    kind: Kind, example: dict[str, float | str | None]
) -> None:
    fault = next(each for each in FAULTS if each.kind is kind and ":" in each.rule)
    told = Finding(
        kind=kind,
        grade=Grade.REFUSED,
        family=fault.family,
        rule="range:made-up",
        message="made up",
        example=example,
    )
    overlapping = next(each for each in FAULTS if each.name == "two conditions that overlap")
    assert not confirms(overlapping if kind is Kind.CONTRADICTION else fault, told)


def test_what_the_prover_gives_up_never_passes() -> None:
    report = check_policy({"families": {"fleet": fleet()}}, {}, steps=1)
    undecided = [each for each in report.findings if each.kind is Kind.UNDECIDED]
    assert not report.passes
    assert {each.grade for each in undecided} == {Grade.REFUSED, Grade.WARNED}
    assert "gave up" in undecided[0].message
