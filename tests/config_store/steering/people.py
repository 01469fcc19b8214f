"""Who steers in these tests, and short ways to where a test begins."""

from collections.abc import Sequence

from access.keys import Role
from config_store.steering.adoption import found_state
from config_store.steering.changes import Changed
from config_store.steering.commands import (
    Actor,
    Advance,
    Approve,
    Command,
    Deploy,
    Draft,
    Judge,
    SetSettings,
    Validated,
)
from config_store.steering.headers import Header
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, SteeringState, Strategy, Verdict
from config_store.steering.transitions import apply

ADA = Actor("ada", Role.OPERATOR)
GRACE = Actor("grace", Role.OPERATOR)
BO = Actor("bo", Role.APPROVER)
CY = Actor("cy", Role.ADMIN)
NOW = 1_772_000_000.0
FOUR_EYES = SetSettings(SteeringSettings(approvals_needed=1))


def own_time(_clock: float, now: float) -> float:
    """Give a change the time by which a test asks, in the place of `times.stamp`."""
    return now


def first(versions: int = 1) -> SteeringState:
    """Make the state of an installation with so many versions, the last of them active."""
    headers = tuple(
        Header(n, hash_of(n), "up", f"version {n}", NOW - 100 + n) for n in range(1, versions + 1)
    )
    return found_state(headers, versions)


def hash_of(number: int) -> str:
    return f"{number:064x}"


def changed(
    state: SteeringState, *commands: Command, by: Actor = ADA, now: float = NOW
) -> SteeringState:
    return carried(state, commands, by, now).state


def carried(
    state: SteeringState, commands: Sequence[Command], by: Actor = ADA, now: float = NOW
) -> Changed:
    found = Changed(state)
    for command in commands:
        after = apply(found.state, command, by, now)
        found = Changed(after.state, found.events + after.events)
    return found


def drafted(state: SteeringState, number: int, by: Actor = ADA) -> SteeringState:
    """Draft a version on top of the active one, and let it pass validation."""
    return changed(
        state,
        Draft(number, hash_of(number), f"version {number}", state.active),
        Validated(number, hash_of(number)),
        by=by,
    )


def approved(state: SteeringState, number: int, by: Actor = BO) -> SteeringState:
    return changed(state, Approve(number, hash_of(number)), by=by)


def deployed(state: SteeringState, number: int, now: float = NOW) -> SteeringState:
    """Bring a version into force at once."""
    command = Deploy(number, Strategy.BLUE_GREEN, f"to {number}", state.active)
    return changed(drafted(state, number), command, now=now)


def strict(state: SteeringState | None = None) -> SteeringState:
    """Have versions need an approval."""
    return changed(state or first(), FOUR_EYES, by=CY)


def stage(state: SteeringState, number: int = 2) -> Stage:
    return state.versions[number].stage


def in_canary(state: SteeringState, number: int, now: float = NOW) -> SteeringState:
    command = Deploy(number, Strategy.CANARY, f"canary {number}", state.active)
    return changed(drafted(state, number), command, now=now)


def good(state: SteeringState) -> Judge:
    assert state.rollout is not None
    return Judge(state.rollout.id, state.rollout.step, Verdict.GOOD)


def advanced(state: SteeringState, now: float) -> SteeringState:
    """Find the step that goes on good, and go on to the next one."""
    assert state.rollout is not None
    step = Advance(state.rollout.id, state.rollout.step)
    return changed(state, good(state), step, now=now)


def to_the_end(state: SteeringState) -> SteeringState:
    """Find each step good as soon as it has begun."""
    now = NOW
    while state.rollout is not None:
        now += state.rollout.settings.lead_seconds
        state = advanced(state, now)
    return state
