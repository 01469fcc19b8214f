"""Versions that were never deployed are bounded, given up, and push out nothing else."""

import pytest

from config_store.errors import RefusedChangeError, TooManyDraftsError
from config_store.steering.commands import (
    Abort,
    Approve,
    Deploy,
    Draft,
    RollBack,
    SetSettings,
    TakeLock,
    Validate,
    Validated,
    Withdraw,
)
from config_store.steering.drafts import undeployed
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, SteeringState, Strategy
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
    in_canary,
)


def with_room_for(drafts: int, own: int, kept: int = 5, **more: int) -> SteeringState:
    settings = SteeringSettings(
        drafts_at_most=drafts, drafts_per_author=own, versions_kept=kept, **more
    )
    return changed(first(), SetSettings(settings), by=CY)


def draft_of(number: int) -> Draft:
    return Draft(number, hash_of(number), "a try", 1)


def test_an_author_has_so_many_drafts_and_is_told_what_to_withdraw() -> None:
    state = with_room_for(10, own=3)
    for number in (2, 3, 4):
        state = drafted(state, number)  # approved, as none needs approvals: it counts too
    with pytest.raises(
        TooManyDraftsError, match=r"ada has 3 versions.*`ballast config withdraw 2 3 4`"
    ):
        changed(state, draft_of(5))
    assert changed(state, draft_of(5), by=GRACE).versions[5].author == "grace"
    state = changed(state, Withdraw(3, "another has it"))
    assert changed(state, draft_of(5)).versions[5].stage is Stage.DRAFT


def test_all_authors_together_have_so_many() -> None:
    state = with_room_for(3, own=2)
    for number, by in ((2, ADA), (3, ADA), (4, GRACE)):
        state = drafted(state, number, by)
    with pytest.raises(TooManyDraftsError, match="There are 3 versions that were never deployed"):
        changed(state, draft_of(5), by=BO)
    # What is deployed makes room.
    state = changed(state, Deploy(4, Strategy.BLUE_GREEN, "r", 1), by=GRACE)
    assert changed(state, draft_of(5), by=BO).versions[5].author == "bo"


def test_no_draft_pushes_out_what_was_deployed_or_is_approved() -> None:
    state = with_room_for(3, own=3, warm=1)
    for number in range(2, 6):
        state = deployed(state, number)  # five in all, of which one is warm
    before = state
    for number in range(6, 206):
        state = drafted(state, number)
        assert state.versions.keys() >= before.versions.keys()
        if number % 2:
            state = changed(state, Withdraw(number - 1), Withdraw(number), by=GRACE)
    assert len(state.versions) <= 5 + 3 + 1
    assert {n: state.versions[n].stage for n in before.versions} == {
        n: life.stage for n, life in before.versions.items()
    }
    assert changed(state, Deploy(2, Strategy.BLUE_GREEN, "r", 5, despite_branch=True)).active == 2


def test_the_oldest_that_were_deployed_go_but_never_one_that_may_serve() -> None:
    state = with_room_for(9, own=9)
    for number in range(2, 9):
        state = deployed(state, number)
    assert (state.active, state.warm, sorted(state.versions)) == (8, (7, 6, 5), [4, 5, 6, 7, 8])
    state = in_canary(changed(state, RollBack("it is slow", 5)), 9)
    assert sorted(state.versions) == [5, 6, 7, 8, 9]
    state = in_canary(changed(state, Abort("canary 9", "it is slow too")), 10)
    assert (state.active, state.warm, sorted(state.versions)) == (5, (7, 6, 8), [5, 6, 7, 8, 10])


def test_withdrawn_ones_take_nobodys_room_and_the_newest_number_stays() -> None:
    state = with_room_for(9, own=9)
    for number in range(2, 5):
        state = deployed(state, number)
    for number in range(5, 8):
        state = changed(drafted(state, number), Withdraw(number))
    assert sorted(state.versions) == [1, 2, 3, 4, 7]
    state = deployed(deployed(state, 8), 9)
    assert sorted(state.versions) == [2, 3, 4, 8, 9]
    state = changed(drafted(state, 10), Withdraw(10))
    assert sorted(state.versions) == [2, 3, 4, 8, 9, 10]
    with pytest.raises(RefusedChangeError, match="given out before"):
        changed(state, draft_of(10))


def test_what_something_else_made_goes_where_there_is_too_much_of_it() -> None:
    state = with_room_for(100, own=100)
    for number in range(2, 12):
        state = changed(state, draft_of(number))
    state = changed(state, Validated(2, hash_of(2)))
    few = state.settings.model_copy(update={"drafts_at_most": 4})
    state = changed(state, SetSettings(few), by=CY)
    assert undeployed(state) == [2, 9, 10, 11]  # what is approved stays, however old


def test_a_withdrawn_version_is_over_and_its_author_is_not_the_only_one_who_may() -> None:
    state = changed(first(), SetSettings(SteeringSettings(approvals_needed=1)), by=CY)
    state = approved(drafted(state, 2), 2)
    found = carried(state, [Withdraw(2)], by=GRACE)
    state = found.state
    assert state.versions[2].stage is Stage.WITHDRAWN
    (told,) = found.events
    assert told.summary == (
        "grace withdrew version 2 of the configuration: it is not needed any more"
    )
    assert changed(state, Withdraw(2)) is state
    for command in (Validate(2), Validated(2, hash_of(2)), Approve(2, hash_of(2))):
        with pytest.raises(RefusedChangeError, match="Version 2 was withdrawn: draft it anew"):
            changed(state, command, by=CY)
    with pytest.raises(RefusedChangeError, match="Version 2 is withdrawn"):
        changed(state, Deploy(2, Strategy.CANARY, "r", 1))


def test_what_was_deployed_is_not_withdrawn() -> None:
    state = in_canary(deployed(first(), 2), 3)
    for number, stage in ((1, "deprecated"), (2, "active"), (3, "deploying")):
        with pytest.raises(RefusedChangeError, match=f"Version {number} is {stage}: only what"):
            changed(state, Withdraw(number))
    with pytest.raises(RefusedChangeError, match="knows no version 9"):
        changed(state, Withdraw(9))


def test_a_lock_keeps_the_drafts_of_its_holder() -> None:
    state = changed(drafted(first(), 2), TakeLock("a policy", 60))
    with pytest.raises(RefusedChangeError, match="ada has the lock"):
        changed(state, Withdraw(2), by=GRACE, now=NOW + 1)
    assert changed(state, Withdraw(2), now=NOW + 1).versions[2].stage is Stage.WITHDRAWN
