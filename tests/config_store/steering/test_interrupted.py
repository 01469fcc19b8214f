"""Whether the end of a rollout says anything about its candidate is kept with the candidate."""

import pytest

from config_store.steering.commands import (
    Abort,
    Advance,
    Command,
    Deploy,
    EmergencyOn,
    Expire,
    Judge,
    RollBack,
)
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import Stage, SteeringState, Strategy, Verdict
from tests.config_store.steering.people import CY, NOW, changed, deployed, drafted, first, in_canary

BEGUN = NOW + RolloutSettings().lead_seconds
OVER = BEGUN + RolloutSettings().step_seconds


def seen() -> SteeringState:
    """Give a canary of version 3 over version 2, which some clients see once it has begun."""
    return in_canary(deployed(first(), 2), 3)


def unseen() -> SteeringState:
    """Give version 3 on its way, which no client sees before every replica has it loaded."""
    command = Deploy(3, Strategy.BLUE_GREEN, "r3", 2, shares=(0.0,))
    return changed(drafted(deployed(first(), 2), 3), command)


def after(state: SteeringState, command: Command, now: float = BEGUN) -> SteeringState:
    return changed(state, command, by=CY, now=now)


@pytest.mark.parametrize(
    ("state", "command", "now"),
    [
        (seen(), EmergencyOn("the active version is broken"), BEGUN),
        (seen(), RollBack("version 2 is worse", 1), BEGUN),
        (seen(), RollBack("what came last"), BEGUN - 1),  # before any client sees it
        (unseen(), RollBack("what came last"), BEGUN),
        (seen(), Expire(), OVER),
    ],
)
def test_what_ends_for_nothing_about_the_candidate_interrupts_it(
    state: SteeringState, command: Command, now: float
) -> None:
    life = after(state, command, now).versions[3]
    assert (life.stage, life.interrupted) == (Stage.ROLLED_BACK, True)


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (seen(), Judge("canary 3", 0, Verdict.BAD, "p99")),
        (seen(), Abort("canary 3", "the p99 rose")),
        (seen(), RollBack("what came last")),
        (seen(), RollBack("stay at version 2", 2)),
        (unseen(), Abort("r3", "not this one")),
        (unseen(), RollBack("stay at version 2", 2)),
    ],
)
def test_a_verdict_and_a_person_who_means_it_leave_it(
    state: SteeringState, command: Command
) -> None:
    life = after(state, command).versions[3]
    assert (life.stage, life.interrupted) == (Stage.ROLLED_BACK, False)


def test_what_came_into_force_after_all_and_was_left_is_not_interrupted_any_more() -> None:
    state = after(unseen(), RollBack("another", 1))
    assert state.versions[3].interrupted
    again = Deploy(3, Strategy.BLUE_GREEN, "again", 1, shares=(0.0,), despite_branch=True)
    state = after(state, again)
    assert not state.versions[3].interrupted
    state = after(state, Advance("again", 0), BEGUN + BEGUN - NOW)
    assert state.active == 3
    left = after(state, RollBack("it is worse"), BEGUN + 60).versions[3]
    assert (left.stage, left.interrupted) == (Stage.ROLLED_BACK, False)
