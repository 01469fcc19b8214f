"""Who may change what, and that nothing else takes away what people put there."""

from access.keys import Role
from config_store.steering.commands import (
    Actor,
    AddFreeze,
    AddOverride,
    Approve,
    Command,
    EmergencyOff,
    LeaveLock,
    RemoveFreeze,
    RemoveOverride,
    SetSettings,
    TakeLock,
)
from config_store.steering.state import SteeringState
from tests.config_store.simulation.invariants import check

ADMINS = (EmergencyOff, AddOverride, RemoveOverride, AddFreeze, RemoveFreeze, SetSettings)
APPROVERS = {Role.APPROVER, Role.ADMIN}
OPERATORS = {Role.OPERATOR, *APPROVERS}


def permitted(commands: tuple[Command, ...], by: Actor) -> None:
    for each in commands:
        roles = OPERATORS
        if isinstance(each, ADMINS):
            roles = {Role.ADMIN}
        elif isinstance(each, Approve):
            roles = APPROVERS
        check(by.role in roles, f"{by} may not ask for {each}")


def approvals_are_earned(before: SteeringState, commands: tuple[Command, ...], by: Actor) -> None:
    """Hold that a version is approved for what it is, once checked, by none who wrote of it."""
    for each in commands:
        if isinstance(each, Approve):
            life = before.versions[each.number]
            check(each.content_hash == life.content_hash, "other content was approved")
            own = by.name in {life.author, *life.co_authors}
            check(not own, f"{by.name} approved an own version")
            check(life.checked is not None, "what was never checked was approved")


def overrides_stay(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    """Hold that an override holds until it expires, is removed, or another takes its place."""
    added = [each for each in commands if isinstance(each, AddOverride)]
    removed = {each.id for each in commands if isinstance(each, RemoveOverride)}
    replaced = {(each.family, each.entity, each.field) for each in added}
    for each in before.overrides_at(state.changed):
        target = (each.family, each.entity, each.field)
        stays = each in state.overrides or each.id in removed or target in replaced
        check(stays, f"{commands} took the override {each.id} away")
    asked = {(each.id, each.field, each.value, each.expires) for each in added}
    for each in state.overrides:
        if each not in before.overrides:
            found = (each.id, each.field, each.value, each.expires)
            check(found in asked and each.author == by.name, f"nobody asked for {each}")


def freezes_stay(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...]
) -> None:
    added = {each.id for each in commands if isinstance(each, AddFreeze)}
    removed = {each.id for each in commands if isinstance(each, RemoveFreeze)}
    for each in before.freezes:
        stays = each in state.freezes or each.id in removed or each.ends <= state.changed
        check(stays, f"{commands} took the freeze {each.id} away")
    new = {each.id for each in state.freezes if each not in before.freezes}
    check(new <= added, f"nobody asked for the freezes {new - added}")


def lock_stays(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    """Hold that a lock is its holder's until it ends, or an admin takes it away."""
    lock = before.lock_at(state.changed)
    if lock is None or state.lock == lock:
        return
    left = any(isinstance(each, LeaveLock) for each in commands)
    longer = any(isinstance(each, TakeLock) for each in commands)
    own = by.name == lock.by and (left or longer)
    check(own or (left and by.role is Role.ADMIN), f"{by.name} took the lock of {lock.by}")
