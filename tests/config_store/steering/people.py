"""Who steers in these tests, and short ways to where a test begins."""

from collections.abc import Sequence

from access.keys import Role
from config_store.steering.adoption import found_state
from config_store.steering.changes import Changed
from config_store.steering.commands import (
    Actor,
    Approve,
    Command,
    Deploy,
    Draft,
    Validated,
)
from config_store.steering.headers import Header
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.transitions import apply

ADA = Actor("ada", Role.OPERATOR)
GRACE = Actor("grace", Role.OPERATOR)
BO = Actor("bo", Role.APPROVER)
CY = Actor("cy", Role.ADMIN)
NOW = 1_772_000_000.0


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


def in_canary(state: SteeringState, number: int, now: float = NOW) -> SteeringState:
    command = Deploy(number, Strategy.CANARY, f"canary {number}", state.active)
    return changed(drafted(state, number), command, now=now)
