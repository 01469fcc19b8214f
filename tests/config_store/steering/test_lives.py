"""The life of a version: validated, approved by another, and bound to its content."""

import pytest

from config_store.errors import NotPermittedError, RefusedChangeError
from config_store.steering.commands import (
    ROLES,
    Actor,
    Approve,
    Command,
    Deploy,
    Draft,
    RollBack,
    SetSettings,
    Validate,
    Validated,
)
from config_store.steering.settings import RolloutSettings, SteeringSettings
from config_store.steering.state import Stage, Strategy
from config_store.steering.transitions import apply
from tests.config_store.steering.people import (
    ADA,
    BO,
    CY,
    GRACE,
    NOW,
    approved,
    carried,
    changed,
    deployed,
    drafted,
    first,
    hash_of,
    stage,
    strict,
)


def test_a_life_goes_through_all_its_stages() -> None:
    state, seen = strict(), []
    for command, by in (
        (Draft(2, hash_of(2), "more lanes", 1), ADA),
        (Validate(2), ADA),
        (Validated(2, hash_of(2)), ADA),
        (Approve(2, hash_of(2)), BO),
        (Deploy(2, Strategy.BLUE_GREEN, "r", 1, shares=(0.0,)), ADA),
    ):
        state = changed(state, command, by=by)
        seen.append(stage(state, 2))
    assert seen == ["draft", "validating", "validating", "approved", "deploying"]
    assert state.versions[2].approved_by == ("bo",)


def test_without_approvals_needed_validation_is_enough() -> None:
    assert stage(drafted(first(), 2), 2) is Stage.APPROVED


def test_every_change_is_a_revision_and_has_its_event() -> None:
    found = carried(first(), [Draft(2, hash_of(2), "m", 1), Validated(2, hash_of(2), "no model")])
    assert (found.state.revision, found.state.changed) == (3, NOW)
    assert [each.kind for each in found.events] == ["config_drafted", "config_refused"]
    assert found.events[1].details == {"by": "ada", "version": 2, "reason": "no model"}


def test_a_refused_version_is_a_draft_that_can_be_validated_again() -> None:
    state = changed(first(), Draft(2, hash_of(2), "m", 1), Validated(2, hash_of(2), "no model"))
    assert (stage(state, 2), state.versions[2].refusal) == (Stage.DRAFT, "no model")
    with pytest.raises(RefusedChangeError, match=r"draft \(no model\)"):
        changed(state, Deploy(2, Strategy.CANARY, "r", 1))
    state = changed(state, Validate(2), Validated(2, hash_of(2)))
    assert (stage(state, 2), state.versions[2].refusal) == (Stage.APPROVED, "")


@pytest.mark.parametrize("author", [ADA, BO, CY])
def test_nobody_approves_what_they_wrote(author: Actor) -> None:
    state = drafted(strict(), 2, by=author)
    by = Actor(author.name, CY.role)  # not even with a higher role than they wrote it with
    with pytest.raises(RefusedChangeError, match="You wrote version 2"):
        changed(state, Approve(2, hash_of(2)), by=by)
    with pytest.raises(RefusedChangeError, match="Version 2 is validating"):
        changed(state, Deploy(2, Strategy.CANARY, "r", 1), by=author)


def test_an_approval_is_of_the_content_that_was_read() -> None:
    state = drafted(strict(), 2)
    with pytest.raises(RefusedChangeError, match="read the version again"):
        changed(state, Approve(2, hash_of(3)), by=BO)
    with pytest.raises(RefusedChangeError, match="read the version again"):
        changed(state, Validated(2, hash_of(3)), by=BO)
    state = approved(state, 2)
    other = state.versions[2].model_copy(update={"content_hash": hash_of(9)})
    state = state.model_copy(update={"versions": state.versions | {2: other}})
    assert other.approved_by == ()
    with pytest.raises(RefusedChangeError, match="0 of 1 approvals"):
        changed(state, Deploy(2, Strategy.CANARY, "r", 1))


def test_what_was_not_checked_is_not_approved() -> None:
    state = changed(strict(), Draft(2, hash_of(2), "m", 1))
    with pytest.raises(RefusedChangeError, match="validate it first"):
        approved(state, 2)


def test_one_person_approves_once() -> None:
    state = changed(first(), SetSettings(SteeringSettings(approvals_needed=2)), by=CY)
    state = approved(drafted(state, 2), 2)
    assert approved(state, 2) is state
    assert stage(state, 2) is Stage.VALIDATING
    assert stage(approved(state, 2, by=CY), 2) is Stage.APPROVED


def test_settings_hold_for_those_that_wait() -> None:
    state = strict(drafted(first(), 2))
    assert stage(state, 2) is Stage.VALIDATING
    assert stage(changed(state, SetSettings(SteeringSettings()), by=CY), 2) is Stage.APPROVED


def test_a_new_validation_keeps_approvals_and_asks_for_the_check() -> None:
    state = changed(approved(drafted(strict(), 2), 2), Validate(2))
    with pytest.raises(RefusedChangeError, match="is validating"):
        changed(state, Deploy(2, Strategy.CANARY, "r", 1))
    assert stage(changed(state, Validated(2, hash_of(2))), 2) is Stage.APPROVED


def test_what_answers_is_not_validated_again() -> None:
    with pytest.raises(RefusedChangeError, match="Version 1 is active"):
        changed(first(), Validate(1))


def test_what_was_active_before_is_validated_in_its_stage() -> None:
    state = deployed(first(), 2)
    deploy = Deploy(1, Strategy.BLUE_GREEN, "r", 2, despite_branch=True)
    refused = changed(state, Validate(1), Validated(1, hash_of(1), "its model is gone"))
    assert stage(refused, 1) is Stage.DEPRECATED
    with pytest.raises(RefusedChangeError, match=r"not passed validation \(its model is gone\)"):
        changed(refused, deploy)
    assert changed(refused, Validated(1, hash_of(1)), deploy).active == 1
    assert changed(refused, RollBack("whatever validation says")).active == 1


def test_numbers_and_parents_are_real() -> None:
    state = drafted(first(), 2)
    with pytest.raises(RefusedChangeError, match="given out before"):
        changed(state, Draft(2, hash_of(2), "m", 1))
    with pytest.raises(RefusedChangeError, match="knows no version 7"):
        changed(state, Draft(8, hash_of(8), "m", 7))


@pytest.mark.parametrize("command", ROLES)
def test_a_role_that_is_too_low_is_refused(command: type[Command]) -> None:
    order = list(type(ROLES[command]))
    lower = Actor("low", order[order.index(ROLES[command]) - 1])
    blank = object.__new__(command)  # its role is looked at before anything that it says
    with pytest.raises(NotPermittedError, match=f"{command.__name__} needs the role"):
        apply(first(), blank, lower, NOW)


def test_time_never_goes_back() -> None:
    state = changed(first(), Draft(2, hash_of(2), "m", 1), now=NOW)
    later = changed(state, Validated(2, hash_of(2)), now=NOW - 1000)
    assert later.changed == NOW
    assert later.versions[2].checked == NOW


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (Draft(2, hash_of(2), "m" * 2001, 1), "message has 2001 characters"),
    ],
)
def test_what_no_state_should_hold_is_refused(command: Command, said: str) -> None:
    with pytest.raises(RefusedChangeError, match=said):
        apply(first(), command, GRACE, NOW)


def test_the_timeline_tells_what_was_loosened() -> None:
    loose = RolloutSettings(alpha=0.4, evidence=False)
    found = apply(first(), SetSettings(SteeringSettings(rollout=loose)), CY, NOW)
    (noted,) = found.events
    said = str(noted.details["changed"])
    assert said.startswith("rollout {")
    assert '"alpha":0.4,"evidence":false' in said
    assert "warm" not in said
