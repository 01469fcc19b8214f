"""Rollouts go on by verdicts, wait with an end, and go back at any time."""

from dataclasses import replace

import pytest

from config_store.errors import RefusedChangeError
from config_store.steering.changes import MOST_CHARACTERS
from config_store.steering.commands import (
    Abort,
    AddFreeze,
    Advance,
    Deploy,
    EmergencyOn,
    Expire,
    Judge,
    RemoveFreeze,
    RollBack,
    TakeLock,
    Wait,
)
from config_store.steering.rollouts.deploys import parting
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Outcome, Stage, SteeringState, Strategy, Verdict
from tests.config_store.steering.people import (
    ADA,
    CY,
    GRACE,
    NOW,
    advanced,
    carried,
    changed,
    deployed,
    drafted,
    first,
    good,
    in_canary,
    to_the_end,
)

LEAD = RolloutSettings().lead_seconds
BEGUN = NOW + LEAD
DEADLINE = BEGUN + RolloutSettings().step_seconds


def stages(state: SteeringState) -> dict[int, str]:
    return {number: str(life.stage) for number, life in state.versions.items()}


def test_blue_green_goes_over_at_once() -> None:
    found = carried(drafted(first(), 2), [Deploy(2, Strategy.BLUE_GREEN, "r", 1, "faster")])
    state = found.state
    assert (state.active, state.warm, state.rollout) == (2, (1,), None)
    assert stages(state) == {1: "deprecated", 2: "active"}
    assert [each.kind for each in found.events] == ["rollout_begun", "config_activated"]
    assert found.events[1].details["reason"] == "faster"
    assert state.last_rollout is not None
    assert state.last_rollout.outcome is Outcome.FINISHED


def test_blue_green_may_have_the_candidate_loaded_first() -> None:
    command = Deploy(2, Strategy.BLUE_GREEN, "r", 1, shares=(0.0,))
    state = changed(drafted(first(), 2), command)
    assert (state.active, stages(state)) == (1, {1: "active", 2: "deploying"})
    assert changed(state, Advance("r", 0), now=BEGUN).active == 2


def test_a_canary_goes_through_its_shares_and_finishes() -> None:
    state, now, shares = in_canary(first(), 2), NOW, []
    while state.rollout is not None:
        now += LEAD
        shares.append(state.rollout.share_at(now))
        state = advanced(state, now)
    assert shares == [0.01, 0.05, 0.25, 0.5, 1.0]
    assert (state.active, state.warm) == (2, (1,))


def test_a_step_begins_after_its_lead() -> None:
    state = in_canary(first(), 2)
    assert state.rollout is not None
    assert [state.rollout.share_at(at) for at in (NOW, BEGUN - 0.1, BEGUN)] == [0, 0, 0.01]
    state = advanced(state, BEGUN + 10)
    assert state.rollout is not None
    assert state.rollout.share_at(BEGUN + 10 + LEAD - 0.1) == 0.01
    assert state.rollout.share_at(BEGUN + 10 + LEAD) == 0.05
    with pytest.raises(RefusedChangeError, match=r"begins in 5\.0 s"):
        changed(state, good(state), now=BEGUN + 10)


def test_unknown_never_advances() -> None:
    state = in_canary(first(), 2)
    advance = Advance("canary 2", 0)
    with pytest.raises(RefusedChangeError, match="is unknown: it advances on the verdict good"):
        changed(state, advance, now=BEGUN)
    state = changed(state, good(state), now=BEGUN)
    state = changed(state, Judge("canary 2", 0, Verdict.UNKNOWN, "too few"), now=BEGUN)
    with pytest.raises(RefusedChangeError, match="is unknown"):
        changed(state, advance, now=BEGUN)


def test_a_verdict_is_of_one_step() -> None:
    state = advanced(in_canary(first(), 2), BEGUN)
    assert state.rollout is not None
    assert (state.rollout.step, state.rollout.verdict) == (1, Verdict.UNKNOWN)
    with pytest.raises(RefusedChangeError, match="at step 1 by now, and not at 0"):
        changed(state, Judge("canary 2", 0, Verdict.GOOD), now=BEGUN + LEAD)


def test_a_bad_verdict_ends_it() -> None:
    verdict = Judge("canary 2", 0, Verdict.BAD, "p99 is 22 % higher", "c1")
    found = carried(in_canary(first(), 2), [verdict], now=BEGUN)
    state = found.state
    assert (state.active, state.rollout) == (1, None)
    assert stages(state) == {1: "active", 2: "rolled_back"}
    assert state.last_rollout is not None
    last = state.last_rollout
    assert (last.outcome, last.note, last.certificates) == (
        "aborted",
        "p99 is 22 % higher",
        ("c1",),
    )
    assert [each.kind for each in found.events] == ["rollout_judged", "rollout_aborted"]
    assert found.events[0].details["certificate"] == "c1"
    assert found.events[0].summary == (
        "Step 0 of version 2's rollout was judged bad: p99 is 22 % higher"
    )


def test_a_certificate_is_noted_once() -> None:
    state = in_canary(first(), 2)
    verdict = Judge("canary 2", 0, Verdict.UNKNOWN, "too few", "c1")
    found = carried(state, [verdict, verdict], now=BEGUN)
    assert [each.kind for each in found.events] == ["rollout_judged"]
    assert not carried(state, [Judge("canary 2", 0, Verdict.UNKNOWN)], now=BEGUN).events


def test_a_step_without_a_verdict_ends_at_its_deadline() -> None:
    state = in_canary(first(), 2)
    assert changed(state, Expire(), now=DEADLINE - 1) is state
    with pytest.raises(RefusedChangeError, match="past its deadline"):
        advanced(state, DEADLINE)
    ended = changed(state, Expire(), now=DEADLINE)
    assert (ended.rollout, ended.active) == (None, 1)
    assert ended.last_rollout is not None
    assert ended.last_rollout.note == "step 0 had the verdict unknown at its deadline"


def test_a_step_that_ends_at_its_deadline_says_what_held_it_up() -> None:
    state = in_canary(first(), 2)
    state = changed(state, Judge("canary 2", 0, Verdict.GOOD, "its document is gone"), now=BEGUN)
    ended = changed(state, Expire(), now=DEADLINE)
    assert ended.last_rollout is not None
    assert ended.last_rollout.note == (
        "step 0 had the verdict good at its deadline: its document is gone"
    )
    long = Judge("canary 2", 0, Verdict.UNKNOWN, "x" * MOST_CHARACTERS)
    ended = changed(changed(state, long, now=BEGUN), Expire(), now=DEADLINE)
    assert ended.last_rollout is not None
    assert len(ended.last_rollout.note) == MOST_CHARACTERS


def test_a_wait_has_an_end() -> None:
    state = in_canary(first(), 2)
    ends = NOW + RolloutSettings().rollout_seconds
    state = changed(state, Wait("canary 2", 0, DEADLINE + 60, "few requests"), now=BEGUN)
    assert state.rollout is not None
    assert state.rollout.step_deadline == DEADLINE + 60
    for deadline in (DEADLINE, ends + 1):
        with pytest.raises(RefusedChangeError, match="give a time between them"):
            changed(state, Wait("canary 2", 0, deadline, "few requests"), now=BEGUN)
    state = changed(state, Wait("canary 2", 0, ends, "few requests"), now=BEGUN)
    assert changed(state, Expire(), now=ends).rollout is None


def test_a_rolling_rollout_has_a_step_for_each_replica_and_needs_no_verdict() -> None:
    command = Deploy(2, Strategy.ROLLING, "r", 1, replicas=3)
    state, now = changed(drafted(first(), 2), command), NOW
    assert state.rollout is not None
    assert state.rollout.shares == (1 / 3, 2 / 3, 1.0)
    for step in range(3):
        now += LEAD
        state = changed(state, Advance("r", step), now=now)
    assert state.active == 2


def test_a_shadow_is_seen_by_nobody_and_finishes_on_a_verdict() -> None:
    state = changed(drafted(first(), 2), Deploy(2, Strategy.SHADOW, "r", 1))
    assert state.rollout is not None
    assert state.rollout.share_at(DEADLINE) == 0
    with pytest.raises(RefusedChangeError, match="is unknown"):
        changed(state, Advance("r", 0), now=BEGUN)
    assert advanced(state, BEGUN).active == 2


@pytest.mark.parametrize(
    ("strategy", "shares"),
    [
        (Strategy.CANARY, ()),
        (Strategy.CANARY, (0.5, 0.1, 1.0)),
        (Strategy.CANARY, (0.1, 0.1, 1.0)),
        (Strategy.CANARY, (0.1, 0.5)),
        (Strategy.CANARY, (0.1, 1.5)),
        (Strategy.CANARY, (0.0, 1.0)),
        (Strategy.CANARY, (float("nan"), 1.0)),
        (Strategy.SHADOW, (0.1,)),
        (Strategy.BLUE_GREEN, (0.5,)),
    ],
)
def test_shares_that_mean_something_else_are_refused(
    strategy: Strategy, shares: tuple[float, ...]
) -> None:
    with pytest.raises(RefusedChangeError, match="shares"):
        changed(drafted(first(), 2), Deploy(2, strategy, "r", 1, shares=shares))


def test_one_rollout_at_a_time() -> None:
    state = drafted(in_canary(first(), 2), 3)
    with pytest.raises(RefusedChangeError, match="canary 2 of version 2 goes on"):
        changed(state, Deploy(3, Strategy.CANARY, "other", 1))


def test_the_same_deploy_again_changes_nothing() -> None:
    command = Deploy(2, Strategy.CANARY, "r", 1)
    state = changed(drafted(first(), 2), command)
    assert changed(state, command) is state
    ended = changed(state, Abort("r", "no"))
    assert changed(ended, command) is ended
    assert changed(ended, Abort("r", "no")) is ended
    with pytest.raises(RefusedChangeError, match="give an id of its own"):
        changed(drafted(state, 3), replace(command, number=3))


def test_who_deploys_has_seen_what_is_active() -> None:
    state = drafted(deployed(first(), 2), 3)
    with pytest.raises(RefusedChangeError, match="Version 2 is active by now, and not 1"):
        changed(state, Deploy(3, Strategy.CANARY, "r", 1))


def test_a_version_that_lacks_the_active_ones_changes_is_refused() -> None:
    state = deployed(drafted(first(), 2), 3)
    late = Deploy(2, Strategy.BLUE_GREEN, "r", 3)
    with pytest.raises(RefusedChangeError, match="not written on top of the active version 3"):
        changed(state, late)
    assert changed(state, replace(late, despite_branch=True)).active == 2


def test_who_was_overtaken_is_told_how_to_draft_it_anew_and_who_is_on_top_is_not() -> None:
    state = drafted(deployed(first(), 2), 3)  # on top of 2
    state = deployed(drafted(state, 4), 5)  # 4 waits as well
    with pytest.raises(RefusedChangeError, match="POST /config/versions/3/rebase drafts it anew"):
        changed(state, Deploy(3, Strategy.BLUE_GREEN, "r", 5))
    with pytest.raises(RefusedChangeError, match="to go back to it, deploy it despite that"):
        changed(state, Deploy(2, Strategy.BLUE_GREEN, "r", 5))
    assert parting(state, 3) == 2
    for number in (1, 2, 5):
        with pytest.raises(RefusedChangeError, match="one on top of the other"):
            parting(state, number)
    back = changed(state, RollBack("it is slow", 2))
    assert (
        parting(
            changed(
                deployed(back, 6),
            ),
            5,
        )
        == 2
    )


def test_a_freeze_holds_deploys_and_steps_up_but_no_way_back() -> None:
    freeze = AddFreeze("f", "expiry day", NOW, NOW + 3600)
    state = changed(in_canary(deployed(first(), 2), 3), freeze, by=CY)
    with pytest.raises(RefusedChangeError, match="freeze f by cy"):
        advanced(state, BEGUN)
    assert changed(state, RollBack("slow", number=1)).active == 1
    state = changed(drafted(first(), 2), freeze, by=CY)
    command = Deploy(2, Strategy.BLUE_GREEN, "r", 1)
    with pytest.raises(RefusedChangeError, match="freeze f by cy"):
        changed(state, command)
    assert changed(state, command, now=NOW + 3600).active == 2


def frozen(state: SteeringState, begins: float, ends: float, name: str = "f") -> SteeringState:
    return changed(state, AddFreeze(name, "expiry day", begins, ends), by=CY)


def deadline(state: SteeringState) -> float:
    assert state.rollout is not None
    return state.rollout.step_deadline


def test_a_freeze_that_begins_at_the_end_of_a_step_holds_it_and_ends_no_rollout() -> None:
    begins, ends = DEADLINE - 10, DEADLINE + 3600
    state = frozen(in_canary(first(), 2), begins, ends)
    assert changed(state, Expire(), now=begins - 1) is state
    found = carried(state, [Expire()], now=begins)
    assert deadline(found.state) == ends + RolloutSettings().step_seconds
    (told,) = found.events
    assert (told.kind, told.details["deadline"]) == ("rollout_waits", deadline(found.state))
    assert told.details["reason"] == "the freeze f by cy holds (expiry day)"
    assert changed(found.state, Expire(), now=ends - 1) is found.state
    assert advanced(found.state, ends).rollout is not None
    # Whoever looks late, after the freeze too, finds the same.
    for late in (DEADLINE, ends - 1, ends, ends + 60):
        assert deadline(changed(state, Expire(), now=late)) == deadline(found.state)


def test_a_freeze_puts_no_deadline_off_that_it_did_not_hold() -> None:
    for begins, ends in ((DEADLINE, DEADLINE + 60), (BEGUN - 4, BEGUN)):
        state = frozen(in_canary(first(), 2), begins, ends)
        ended = changed(state, Expire(), now=DEADLINE)
        assert ended.rollout is None
        assert ended.last_rollout is not None
        assert "freeze" not in ended.last_rollout.note


def test_freezes_one_after_another_hold_a_step() -> None:
    hour = 3600.0
    state = frozen(in_canary(first(), 2), DEADLINE - 10, DEADLINE + hour, "one")
    state = frozen(state, DEADLINE + hour, DEADLINE + 2 * hour, "other")
    held = changed(state, Expire(), now=DEADLINE + 1.5 * hour)
    assert deadline(held) == DEADLINE + 2 * hour + RolloutSettings().step_seconds


def test_no_freeze_goes_beyond_the_end_of_a_rollout() -> None:
    ends = NOW + RolloutSettings().rollout_seconds
    state = frozen(in_canary(first(), 2), BEGUN, ends + 3600)
    held = changed(state, Expire(), now=BEGUN)
    assert deadline(held) == ends
    assert changed(held, Expire(), now=ends - 1) is held
    judged = changed(held, Judge("canary 2", 0, Verdict.GOOD, "all is well"), now=BEGUN + 60)
    ended = changed(judged, Expire(), now=ends)
    assert (ended.rollout, ended.active) == (None, 1)
    assert ended.last_rollout is not None
    assert ended.last_rollout.note == (
        "step 0 had the verdict good at its deadline, in the freeze f (expiry day) that outlasts "
        "the rollout: all is well"
    )
    # What it had is not lost: after the freeze it is deployed again as it is.
    again = Deploy(2, Strategy.CANARY, "again", 1)
    assert changed(ended, again, now=ends + 3600).rollout is not None


def test_a_freeze_that_is_removed_leaves_the_time_that_it_gave() -> None:
    state = changed(frozen(in_canary(first(), 2), BEGUN, BEGUN + 3600), Expire(), now=BEGUN)
    free = changed(state, RemoveFreeze("f", "it was a mistake"), by=CY, now=BEGUN + 60)
    assert deadline(free) == BEGUN + 3600 + RolloutSettings().step_seconds
    assert advanced(free, BEGUN + 61).rollout is not None


def test_a_lock_holds_others_up_but_no_way_back() -> None:
    state = changed(drafted(deployed(first(), 2), 3), TakeLock("mine", 60), by=GRACE)
    command = Deploy(3, Strategy.CANARY, "r", 2)
    with pytest.raises(RefusedChangeError, match="grace has the lock"):
        changed(state, command)
    assert changed(state, RollBack("slow", number=1)).active == 1
    assert changed(state, command, by=GRACE).rollout is not None


def test_a_rollback_without_a_number_aborts_what_goes_on() -> None:
    state = changed(in_canary(deployed(first(), 2), 3), RollBack("slow"))
    assert (state.active, state.rollout) == (2, None)
    assert stages(state) == {1: "deprecated", 2: "active", 3: "rolled_back"}


def test_a_rollback_after_the_rollout_goes_to_the_one_before() -> None:
    state = deployed(deployed(first(), 2), 3)
    assert state.warm == (2, 1)
    found = carried(state, [RollBack("slow")])
    state = found.state
    assert (state.active, state.warm) == (2, (1, 3))
    assert stages(state) == {1: "deprecated", 2: "active", 3: "rolled_back"}
    assert [each.kind for each in found.events] == ["config_rolled_back", "config_activated"]
    # Back again is back further, never forth to the one that was left.
    state = changed(state, RollBack("slow too"))
    assert (state.active, state.warm) == (1, (3, 2))
    with pytest.raises(RefusedChangeError, match="No version is warm that was not rolled back"):
        changed(state, RollBack("again"))
    assert changed(state, RollBack("it was no fault of 3", number=3)).active == 3


def test_a_rollback_past_the_candidate_ends_its_rollout() -> None:
    state = changed(in_canary(deployed(first(), 2), 3), RollBack("slow", number=1))
    assert (state.active, state.warm, state.rollout) == (1, (2,), None)
    assert stages(state) == {1: "active", 2: "rolled_back", 3: "rolled_back"}


def test_a_rollback_of_what_is_not_active_any_more_is_refused() -> None:
    state = deployed(deployed(first(), 2), 3)
    state = changed(state, RollBack("slow", after=3))
    with pytest.raises(RefusedChangeError, match="Version 2 is active by now, and not 3"):
        changed(state, RollBack("slow", after=3))


@pytest.mark.parametrize(("number", "said"), [(2, "is active"), (9, "is not warm")])
def test_a_rollback_goes_to_a_warm_one(number: int, said: str) -> None:
    with pytest.raises(RefusedChangeError, match=said):
        changed(deployed(first(), 2), RollBack("slow", number=number))


def test_so_many_stay_warm_and_those_rolled_back_are_let_go_first() -> None:
    state = first()
    for number in range(2, 7):
        state = deployed(state, number)
    assert state.warm == (5, 4, 3)
    state = changed(state, RollBack("slow"))
    assert state.warm == (4, 3, 6)
    assert deployed(state, 7).warm == (5, 4, 3)


def test_what_was_rolled_back_can_be_deployed_again() -> None:
    state = changed(deployed(first(), 2), RollBack("the disk was full"))
    state = changed(state, Deploy(2, Strategy.CANARY, "again", 1))
    assert state.rollout is not None
    assert state.warm == (2,)
    assert changed(state, Abort("again", "no")).warm == (2,)
    finished = to_the_end(state)
    assert (finished.active, finished.warm) == (2, (1,))


def test_emergency_mode_ends_the_rollout_and_forbids_the_next() -> None:
    state = changed(in_canary(deployed(first(), 2), 3), EmergencyOn("p99 of a minute"))
    assert (state.rollout, state.active) == (None, 2)
    assert state.versions[3].stage is Stage.ROLLED_BACK
    with pytest.raises(RefusedChangeError, match="have an admin end it first"):
        changed(state, Deploy(3, Strategy.CANARY, "r", 2), by=ADA)
    assert changed(state, RollBack("to be sure")).active == 1
