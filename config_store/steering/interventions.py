"""What a person puts over the models' answers: emergency mode and overrides."""

from math import inf, nextafter

from config_store.errors import OvertakenError, RefusedChangeError, UnknownOverrideError
from config_store.steering.changes import Changed, event, refuse_empty, with_fields
from config_store.steering.commands import (
    Actor,
    AddOverride,
    EmergencyOff,
    EmergencyOn,
    RemoveOverride,
)
from config_store.steering.rollouts.switches import end_rollout
from config_store.steering.state import Emergency, Override, SteeringState
from observability.timeline.event import Event


def emergency_on(state: SteeringState, command: EmergencyOn, by: Actor, now: float) -> Changed:
    """Begin emergency mode; the rollout that goes on may be its cause, and ends."""
    refuse_empty("Emergency mode", command.reason)
    if state.emergency is not None:
        return Changed(state)
    at = max(now, state.changed)
    ended = end_rollout(state, f"emergency mode: {command.reason}", by, at, interrupted=True)
    emergency = Emergency(
        since=_after(state.released, now), by=by.name, reason=command.reason, rule=command.rule
    )
    noted = event("emergency_on", at, by, reason=command.reason, rule=command.rule)
    return Changed(with_fields(ended.state, emergency=emergency), (*ended.events, noted))


def emergency_off(state: SteeringState, command: EmergencyOff, by: Actor, now: float) -> Changed:
    """End emergency mode.

    It is never refused where none is on here: a gateway may still hold one that a Redis which lost
    its last second has forgotten. Nor is its time before that of the end before: a gateway that has
    not looked since would never leave what that one ended.
    """
    refuse_empty("The end of emergency mode", command.reason)
    if state.emergency is not None and command.since not in {None, state.emergency.since}:
        raise OvertakenError(
            f"Another emergency than the one that was seen is on by now "
            f"({state.emergency.reason}): look again before you end it."
        )
    noted = event("emergency_off", max(now, state.changed), by, reason=command.reason)
    # Never earlier than the end before: a gateway may have missed that one.
    known = state.released, None if state.emergency is None else state.emergency.since
    released = max([now, *(each for each in known if each is not None)])
    return Changed(with_fields(state, emergency=None, released=released), (noted,))


def _after(released: float | None, now: float) -> float:
    """Give a time that is later than the end of the emergency before.

    Where clocks differ both may have the same time, and a gateway that knows this one must not take
    that end for its own.
    """
    if released is None or now > released:
        return now
    return nextafter(released, inf)


def add_override(state: SteeringState, command: AddOverride, by: Actor, now: float) -> Changed:
    refuse_empty("An override", command.reason)
    if command.expires <= now:
        raise RefusedChangeError(
            f"The override would have ended {now - command.expires:.0f} s ago: give a time ahead."
        )
    if any(each.id == command.id for each in state.overrides):
        return _same_or_refused(state, command)
    override = Override(
        id=command.id,
        family=command.family,
        entity=command.entity,
        field=command.field,
        value=command.value,
        reason=command.reason,
        author=by.name,
        created=now,
        expires=command.expires,
    )
    others = tuple(each for each in state.overrides if _target(each) != _target(override))
    if len(others) >= state.settings.overrides_at_most:
        raise RefusedChangeError(
            f"There are {len(others)} overrides, as many as may be: remove some first."
        )
    noted = event(
        "override_added",
        now,
        by,
        override=override.id,
        target=_named(override),
        value=override.value,
        reason=override.reason,
        expires=override.expires,
    )
    return Changed(with_fields(state, overrides=(*others, override)), (noted,))


def remove_override(
    state: SteeringState, command: RemoveOverride, by: Actor, now: float
) -> Changed:
    found = [each for each in state.overrides if each.id == command.id]
    if not found:
        raise UnknownOverrideError(command.id)
    noted = _override_ended(found[0], command.reason or "removed", by, now)
    left = tuple(each for each in state.overrides if each.id != command.id)
    return Changed(with_fields(state, overrides=left), (noted,))


def expire_overrides(state: SteeringState, by: Actor, now: float) -> Changed:
    ended = [each for each in state.overrides if now >= each.expires]
    if not ended:
        return Changed(state)
    noted = tuple(_override_ended(each, "its time was over", by, now) for each in ended)
    return Changed(with_fields(state, overrides=state.overrides_at(now)), noted)


def _override_ended(override: Override, reason: str, by: Actor, now: float) -> Event:
    return event(
        "override_ended", now, by, override=override.id, target=_named(override), reason=reason
    )


def _same_or_refused(state: SteeringState, command: AddOverride) -> Changed:
    (known,) = (each for each in state.overrides if each.id == command.id)
    said = (command.family, command.entity, command.field, command.value, command.expires)
    if said == (known.family, known.entity, known.field, known.value, known.expires):
        return Changed(state)
    raise RefusedChangeError(f"The override {command.id} exists and says something else.")


def _target(override: Override) -> tuple[str, str, str]:
    return override.family, override.entity, override.field


def _named(override: Override) -> str:
    return f"{override.field} of {override.family} for {override.entity or 'every entity'}"
