"""Applies a command to the state: pure, so that a simulation runs what serves."""

from dataclasses import fields
from math import isfinite

from config_store.errors import NotPermittedError, RefusedChangeError
from config_store.steering import drafts, freezes, interventions, lives
from config_store.steering.changes import MOST_CHARACTERS, Changed, Transition, with_fields
from config_store.steering.commands import (
    BY_CLOCK_OF_REDIS,
    ROLES,
    Abort,
    Actor,
    AddFreeze,
    AddOverride,
    Advance,
    Approve,
    Command,
    Deploy,
    Draft,
    EmergencyOff,
    EmergencyOn,
    Expire,
    Judge,
    LeaveLock,
    RemoveFreeze,
    RemoveOverride,
    RollBack,
    SetSettings,
    TakeLock,
    Validate,
    Validated,
    Wait,
    Withdraw,
)
from config_store.steering.rollouts import deploys, steps, switches
from config_store.steering.state import SteeringState

# What programs say is cut where it is too long, and not refused.
CUT_SHORT = {"refusal", "note"}


def apply(state: SteeringState, command: Command, by: Actor, now: float) -> Changed:
    """Give the state after the command, or raise RefusedChangeError.

    A command that changes nothing gives the very state, and no event. Time never goes back from one
    revision to the next, whichever clock `now` was read from.
    """
    needed = ROLES[type(command)]
    if not by.role.includes(needed):
        raise NotPermittedError(type(command).__name__, needed, by.role)
    _refuse_unusable(command)
    at = max(now, state.changed)
    asked = now if isinstance(command, BY_CLOCK_OF_REDIS) else at
    found = _TRANSITIONS[type(command)](state, command, by, asked)
    if found.state is state or found.state == state:
        return Changed(state)
    following = with_fields(found.state, revision=state.revision + 1, changed=at)
    return Changed(drafts.pruned(following), found.events)


def _refuse_unusable(command: Command) -> None:
    for field in fields(command):
        value = getattr(command, field.name)
        if isinstance(value, float) and not isfinite(value):
            raise RefusedChangeError(f"{field.name} is {value}: give a number.")
        long = isinstance(value, str) and len(value) > MOST_CHARACTERS
        if long and field.name not in CUT_SHORT:
            raise RefusedChangeError(
                f"{field.name} has {len(value)} characters: give {MOST_CHARACTERS} at most."
            )


def _expire(state: SteeringState, _command: Expire, by: Actor, now: float) -> Changed:
    found = Changed(state)
    for step in (
        steps.expire_rollout,
        interventions.expire_overrides,
        freezes.expire_freezes,
        freezes.expire_lock,
    ):
        after = step(found.state, by, now)
        found = Changed(after.state, found.events + after.events)
    return found


_TRANSITIONS: dict[type[Command], Transition] = {
    Draft: lives.draft,
    Validate: lives.validate,
    Validated: lives.validated,
    Approve: lives.approve,
    Withdraw: drafts.withdraw,
    SetSettings: lives.set_settings,
    Deploy: deploys.deploy,
    Judge: steps.judge,
    Advance: steps.advance,
    Wait: steps.wait,
    Abort: switches.abort,
    RollBack: switches.roll_back,
    EmergencyOn: interventions.emergency_on,
    EmergencyOff: interventions.emergency_off,
    AddOverride: interventions.add_override,
    RemoveOverride: interventions.remove_override,
    AddFreeze: freezes.add_freeze,
    RemoveFreeze: freezes.remove_freeze,
    TakeLock: freezes.take_lock,
    LeaveLock: freezes.leave_lock,
    Expire: _expire,
}
