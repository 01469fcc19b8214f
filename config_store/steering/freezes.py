"""Times in which nothing is deployed, and the lock of the one who edits."""

from access.keys import Role
from config_store.errors import RefusedChangeError
from config_store.steering.changes import Changed, event, refuse_empty, with_fields
from config_store.steering.commands import (
    Actor,
    AddFreeze,
    LeaveLock,
    RemoveFreeze,
    TakeLock,
)
from config_store.steering.state import Freeze, Lock, SteeringState

MOST_FREEZES = 100


def add_freeze(state: SteeringState, command: AddFreeze, by: Actor, now: float) -> Changed:
    refuse_empty("A freeze", command.reason)
    if command.ends <= max(command.begins, now):
        raise RefusedChangeError(
            f"The freeze ends at {command.ends:.0f}, which is past or before it begins: give a "
            "later end."
        )
    freeze = Freeze(
        id=command.id,
        by=by.name,
        reason=command.reason,
        begins=command.begins,
        ends=command.ends,
    )
    for each in state.freezes:
        if each.id == freeze.id:
            if each == freeze:
                return Changed(state)
            raise RefusedChangeError(f"The freeze {freeze.id} exists and says something else.")
    if len(state.freezes) >= MOST_FREEZES:
        raise RefusedChangeError(f"There are {MOST_FREEZES} freezes: remove some first.")
    noted = event(
        "freeze_added",
        now,
        by,
        freeze=freeze.id,
        begins=freeze.begins,
        ends=freeze.ends,
        reason=freeze.reason,
    )
    return Changed(with_fields(state, freezes=(*state.freezes, freeze)), (noted,))


def remove_freeze(state: SteeringState, command: RemoveFreeze, by: Actor, now: float) -> Changed:
    left = tuple(each for each in state.freezes if each.id != command.id)
    if len(left) == len(state.freezes):
        raise RefusedChangeError(f"There is no freeze {command.id}: it may have ended.")
    noted = event("freeze_ended", now, by, freeze=command.id, reason=command.reason or "removed")
    return Changed(with_fields(state, freezes=left), (noted,))


def take_lock(state: SteeringState, command: TakeLock, by: Actor, now: float) -> Changed:
    held = state.lock_at(now)
    if held is not None and held.by != by.name:
        raise RefusedChangeError(
            f"{held.by} has the lock for another {held.expires - now:.0f} s ({held.reason}): wait, "
            "or have an admin take it away."
        )
    if not 0 < command.seconds <= state.settings.lock_seconds:
        raise RefusedChangeError(
            f"A lock lasts up to {state.settings.lock_seconds:g} s, not {command.seconds:g}: take "
            "it again before it ends."
        )
    lock = Lock(by=by.name, reason=command.reason, at=now, expires=now + command.seconds)
    noted = event("lock_taken", now, by, reason=command.reason, expires=lock.expires)
    return Changed(with_fields(state, lock=lock), () if held else (noted,))


def leave_lock(state: SteeringState, _command: LeaveLock, by: Actor, now: float) -> Changed:
    held = state.lock_at(now)
    if held is None:
        return expire_lock(state, by, now)
    if held.by != by.name and not by.role.includes(Role.ADMIN):
        raise RefusedChangeError(f"The lock is {held.by}'s: an admin may take it away.")
    noted = event("lock_left", now, by, holder=held.by)
    return Changed(with_fields(state, lock=None), (noted,))


def expire_freezes(state: SteeringState, by: Actor, now: float) -> Changed:
    left = tuple(each for each in state.freezes if now < each.ends)
    ended = [each for each in state.freezes if now >= each.ends]
    noted = tuple(
        event("freeze_ended", now, by, freeze=each.id, reason="its time was over") for each in ended
    )
    return Changed(with_fields(state, freezes=left), noted) if ended else Changed(state)


def expire_lock(state: SteeringState, by: Actor, now: float) -> Changed:
    if state.lock is None or state.lock_at(now) is not None:
        return Changed(state)
    noted = event("lock_left", now, by, holder=state.lock.by)
    return Changed(with_fields(state, lock=None), (noted,))
