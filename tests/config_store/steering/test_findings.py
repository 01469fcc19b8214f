"""What was found in a safety policy is acknowledged by name before it comes into force."""

import pytest

from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    Actor,
    Approve,
    Command,
    Deploy,
    Draft,
    Validate,
    Validated,
)
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.status import describe
from tests.config_store.steering.people import (
    ADA,
    BO,
    CY,
    FOUR_EYES,
    GRACE,
    NOW,
    carried,
    changed,
    deployed,
    first,
    hash_of,
    stage,
    strict,
)

FOUND = ("never_fires tail most-workers", "lets_through bandit range:propensity")
DEPLOY = Deploy(2, Strategy.BLUE_GREEN, "d", 1)


def checked(
    number: int, findings: tuple[str, ...] = FOUND, policy: str = "", against: str = ""
) -> Validated:
    return Validated(number, hash_of(number), findings=findings, policy=policy, against=against)


ALL = checked(2)


def found_in(state: SteeringState, by: Actor = ADA, validated: Command = ALL) -> SteeringState:
    return changed(state, Draft(2, hash_of(2), "m", 1), validated, by=by)


def approve(*names: str) -> Approve:
    return Approve(2, hash_of(2), names)


@pytest.mark.parametrize("four_eyes", [False, True])
def test_it_waits_for_somebody_who_names_all_of_it(four_eyes: bool) -> None:
    state = strict() if four_eyes else first()
    state = found_in(state)
    assert stage(state) is Stage.VALIDATING
    assert FOUND[0] in " ".join(describe(state, NOW))
    with pytest.raises(RefusedChangeError, match=FOUND[0]):
        changed(state, DEPLOY)
    for named in ((), FOUND[:1], ("something else", FOUND[0])):
        with pytest.raises(RefusedChangeError, match="acknowledged by name") as refused:
            changed(state, approve(*named), by=BO)
        assert FOUND[1] in str(refused.value)
        assert (FOUND[0] in str(refused.value)) is (not named)
    approved = carried(state, [approve(*reversed(FOUND))], BO)
    assert stage(approved.state) is Stage.APPROVED
    (noted,) = approved.events
    assert noted.details["acknowledged"] == "; ".join(FOUND)
    (approval,) = approved.state.versions[2].approvals
    assert (approval.by, approval.acknowledged) == ("bo", FOUND)
    assert changed(approved.state, DEPLOY).active == 2


def test_an_author_acknowledges_alone_only_where_nobody_else_is_needed() -> None:
    alone = changed(found_in(first(), by=CY), approve(*FOUND), by=CY)
    assert (stage(alone), alone.versions[2].approved_by) == (Stage.APPROVED, ())
    # Then somebody else is needed: what the author said of it counts no longer.
    assert stage(changed(alone, FOUR_EYES, by=CY)) is Stage.VALIDATING
    needs_two = strict()
    with pytest.raises(RefusedChangeError, match="You wrote version 2"):
        changed(found_in(needs_two, by=CY), approve(*FOUND), by=CY)


def test_an_author_approves_nothing_where_nothing_was_found() -> None:
    state = changed(first(), Draft(2, hash_of(2), "m", 1), checked(2, ()), by=CY)
    assert stage(state) is Stage.APPROVED
    with pytest.raises(RefusedChangeError, match="You wrote version 2"):
        changed(state, approve(), by=CY)


def test_what_is_found_later_has_to_be_acknowledged_too() -> None:
    state = changed(found_in(first()), approve(*FOUND), by=BO)
    more = (*FOUND, "shadowed tail most-workers")
    again = changed(state, Validate(2), checked(2, more))
    assert stage(again) is Stage.VALIDATING
    with pytest.raises(RefusedChangeError, match=more[-1]):
        changed(again, DEPLOY)
    again = changed(again, approve(*more), by=BO)
    assert (stage(again), len(again.versions[2].approvals)) == (Stage.APPROVED, 1)
    less = changed(state, Validate(2), checked(2, FOUND[:1]))
    assert stage(less) is Stage.APPROVED


def test_a_policy_is_compared_with_the_one_that_is_in_force_when_it_is_deployed() -> None:
    state = changed(
        first(),
        Draft(2, hash_of(2), "stricter", 1),
        checked(2, (), policy="strict", against="shipped"),
        Draft(3, hash_of(3), "beside it", 1),
        checked(3, (), policy="loose", against="shipped"),
        DEPLOY,
    )
    other = Deploy(3, Strategy.BLUE_GREEN, "e", 2, despite_branch=True)
    with pytest.raises(RefusedChangeError, match="validate it again"):
        changed(state, other)
    state = changed(state, Validate(3), checked(3, FOUND, policy="loose", against="strict"))
    with pytest.raises(RefusedChangeError, match=FOUND[0]):
        changed(state, other)
    state = changed(state, Approve(3, hash_of(3), FOUND), by=BO)
    assert changed(state, other).active == 3


def test_who_has_the_policy_that_is_in_force_was_compared_with_it() -> None:
    state = changed(
        found_in(first(), validated=checked(2, policy="p", against="shipped")),
        approve(*FOUND),
        by=BO,
    )
    state = changed(state, DEPLOY)
    same = checked(3, (), policy="p", against="something older")
    state = changed(state, Draft(3, hash_of(3), "m", 2), same, by=GRACE)
    assert changed(state, Deploy(3, Strategy.BLUE_GREEN, "e", 2)).active == 3
    unknown = changed(state, Draft(4, hash_of(4), "m", 2), checked(4, ()))
    with pytest.raises(RefusedChangeError, match="validate it again"):
        changed(unknown, Deploy(4, Strategy.BLUE_GREEN, "f", 2))


def test_a_refused_check_and_a_version_of_before_have_nothing_to_acknowledge() -> None:
    assert deployed(first(), 2).active == 2
    state = changed(first(), Draft(2, hash_of(2), "m", 1))
    refused = changed(state, Validated(2, hash_of(2), "it is broken"))
    assert refused.versions[2].findings == ()
