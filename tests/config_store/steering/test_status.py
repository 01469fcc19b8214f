"""What `describe` says of each situation, and what it takes for no legal one."""

import pytest

from config_store.steering.commands import (
    AddFreeze,
    AddOverride,
    Draft,
    EmergencyOn,
    Judge,
    TakeLock,
    Validated,
)
from config_store.steering.state import Stage, SteeringState, Verdict
from config_store.steering.status import describe, problems
from tests.config_store.steering.people import (
    CY,
    NOW,
    changed,
    deployed,
    drafted,
    first,
    hash_of,
    in_canary,
    strict,
)

BEGUN = NOW + 5
SALE = AddOverride("o1", "capacity", "workers", 9.0, "a sale", NOW + 600)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (deployed(first(), 2), "Version 2 by ada is active (version 2). Warm are: 1."),
        (
            changed(first(), Draft(2, hash_of(2), "m", 1)),
            "Version 2 by ada (m) is not validated: validate it.",
        ),
        (
            changed(first(), Draft(2, hash_of(2), "m", 1), Validated(2, hash_of(2), "no model x")),
            "Version 2 by ada (m) failed validation (no model x): draft another, or",
        ),
        (
            drafted(strict(), 2),
            "Version 2 by ada (version 2) waits for 1 more approvals by others than its author.",
        ),
        (drafted(first(), 2), "Version 2 by ada (version 2) is approved: deploy it."),
        (
            in_canary(first(), 2),
            "The canary rollout canary 2 of version 2 is at step 1 of 5, 1.00% of the keys;",
        ),
        (in_canary(first(), 2), "It advances on the verdict good, or is aborted in 6 h."),
        (
            changed(in_canary(first(), 2), Judge("canary 2", 0, Verdict.GOOD), now=BEGUN),
            "Advance it, or it is aborted in 6 h.",
        ),
        (
            changed(first(), EmergencyOn("wrong")),
            "Emergency mode is on since 5 s ago (wrong): every family answers its fallback",
        ),
        (changed(first(), SALE, by=CY), "1 overrides hold: o1."),
        (
            changed(first(), AddFreeze("f", "expiry day", NOW, NOW + 7205), by=CY),
            "The freeze f (expiry day) holds for 2 h: nothing is deployed or advanced.",
        ),
        (changed(first(), TakeLock("lanes", 65)), "ada has the lock for 60 s (lanes)."),
    ],
)
def test_it_says_what_stands_where_and_what_to_do(state: SteeringState, said: str) -> None:
    assert any(each.startswith(said) for each in describe(state, BEGUN))


def test_a_legal_state_has_no_problems() -> None:
    for state in (first(), in_canary(deployed(first(), 2), 3)):
        assert problems(state) == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"active": 1}, "version 1 is active, and these have the stage: [2]"),
        ({"warm": (2, 1)}, "the active version is among the warm: (2, 1)"),
        ({"warm": (1, 1)}, "a version is warm twice: (1, 1)"),
        ({"warm": (7,)}, "there are no lives of [7]"),
        ({"rollout": None}, "the candidates are [], and these have the stage: [3]"),
    ],
)
def test_what_is_not_legal_is_named(wrong: dict[str, object], said: str) -> None:
    state = in_canary(deployed(first(), 2), 3).model_copy(update=wrong)
    assert said in problems(state)
    assert f"The state is not a legal one: {said}." in describe(state, NOW)


def test_two_actives_are_named() -> None:
    state = deployed(first(), 2)
    two = state.versions[1].model_copy(update={"stage": Stage.ACTIVE})
    state = state.model_copy(update={"versions": state.versions | {1: two}})
    assert problems(state) == ("version 2 is active, and these have the stage: [1, 2]",)
