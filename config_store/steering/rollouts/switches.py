"""The steps in which another version becomes active, and those that end a rollout.

Every way to another active version goes through `_switch`: the one field changes, and both lives
change their stages with it.
"""

from config_store.errors import OvertakenError, RefusedChangeError
from config_store.steering.changes import (
    Changed,
    event,
    in_stage,
    refuse_empty,
    with_fields,
)
from config_store.steering.commands import Abort, Actor, RollBack
from config_store.steering.state import Outcome, Rollout, Stage, SteeringState
from observability.timeline.event import Event


def finish(state: SteeringState, rollout: Rollout, by: Actor, now: float) -> Changed:
    """Make the candidate active; the incumbent stays warm."""
    before = state.active
    others = tuple(each for each in state.warm if each != rollout.candidate)
    state = _ended(state, rollout, Outcome.FINISHED, now)
    state = _switch(state, rollout.candidate, Stage.DEPRECATED)
    state = with_fields(state, warm=(before, *others)[: state.settings.warm])
    return Changed(state, (_activated(state, before, rollout.reason, by, now),))


def end_rollout(
    state: SteeringState, reason: str, by: Actor, now: float, *, interrupted: bool = False
) -> Changed:
    """Abort the rollout that goes on, if one does; interrupted: for nothing about its candidate."""
    rollout = state.rollout
    if rollout is None:
        return Changed(state)
    noted = event(
        "rollout_aborted",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        active=state.active,
        step=rollout.step,
        reason=reason,
    )
    state = in_stage(state, rollout.candidate, Stage.ROLLED_BACK, interrupted=interrupted)
    given_up = rollout.model_copy(update={"note": reason})
    return Changed(_ended(state, given_up, Outcome.ABORTED, now), (noted,))


def abort(state: SteeringState, command: Abort, by: Actor, now: float) -> Changed:
    if state.rollout is None or state.rollout.id != command.rollout:
        last = state.last_rollout
        if last is not None and last.id == command.rollout and last.outcome is Outcome.ABORTED:
            return Changed(state)
        if not command.rollout and state.rollout is None:
            raise RefusedChangeError(
                "No rollout goes on. To leave the active version, go back: POST /config/rollback"
            )
        raise RefusedChangeError(
            f"The rollout {command.rollout} does not go on: "
            f"{f'{state.rollout.id} does' if state.rollout else 'none does'}. To leave the active "
            "version, roll back."
        )
    return end_rollout(state, command.reason, by, now)


def roll_back(state: SteeringState, command: RollBack, by: Actor, now: float) -> Changed:
    """Go back, whatever else holds: no freeze, lock or emergency is in the way of it."""
    refuse_empty("A rollback", command.reason)
    _refuse_overtaken(state, command)
    interrupted = _means_another(state, command, now)
    ended = end_rollout(state, command.reason, by, now, interrupted=interrupted)
    if state.rollout is not None and command.number in {None, state.active}:
        return ended
    number = _target(ended.state, command.number)
    return _went_back(ended, number, command.reason, by, now)


def _refuse_overtaken(state: SteeringState, command: RollBack) -> None:
    """Refuse to leave what nobody saw; who names a version leaves a rollout that ended alone."""
    if command.after not in {None, state.active}:
        raise OvertakenError(
            f"Version {state.active} is active by now, and not {command.after}: look again before "
            "you roll back."
        )
    going_on = "" if state.rollout is None else state.rollout.id
    if command.rollout in {None, going_on} or (command.number is not None and not going_on):
        return
    raise OvertakenError(
        f"{f'The rollout {going_on}' if going_on else 'No rollout'} goes on by now, and "
        f"{f'not {command.rollout}' if command.rollout else 'none did'}: look again before you "
        "roll back."
    )


def _means_another(state: SteeringState, command: RollBack, now: float) -> bool:
    """Tell whether a rollback says nothing about the candidate of the rollout that it ends.

    Who names a version to go to leaves the active one. Who names none leaves what came last: that
    is the candidate, if any client can have seen it.
    """
    if command.number is not None:
        return command.number != state.active
    return state.rollout is not None and state.rollout.share_at(now) == 0.0


def _went_back(ended: Changed, number: int, reason: str, by: Actor, now: float) -> Changed:
    state, before = ended.state, ended.state.active
    # The one that is left comes last: it is the first to be forgotten.
    warm = (*(each for each in state.warm if each != number), before)
    state = with_fields(_switch(state, number, Stage.ROLLED_BACK), warm=warm)
    noted = event("config_rolled_back", now, by, version=number, before=before, reason=reason)
    return Changed(state, (*ended.events, noted, _activated(state, before, reason, by, now)))


def _target(state: SteeringState, number: int | None) -> int:
    if number is None:
        for each in state.warm:
            if state.versions[each].stage is not Stage.ROLLED_BACK:
                return each
        raise RefusedChangeError(
            f"No version is warm that was not rolled back itself (warm are: {_listed(state)}): "
            "name the one to go back to, or deploy one."
        )
    if number not in state.warm:
        raise RefusedChangeError(
            f"Version {number} is {'active' if number == state.active else 'not warm'} (warm are: "
            f"{_listed(state)}): roll back to one of these, or deploy it."
        )
    return number


def _listed(state: SteeringState) -> str:
    return ", ".join(map(str, state.warm)) or "none"


def _switch(state: SteeringState, number: int, left: Stage) -> SteeringState:
    state = in_stage(state, state.active, left)
    return with_fields(in_stage(state, number, Stage.ACTIVE), active=number)


def _ended(state: SteeringState, rollout: Rollout, outcome: Outcome, now: float) -> SteeringState:
    closed = rollout.model_copy(update={"outcome": outcome, "ended": now})
    return with_fields(state, rollout=None, last_rollout=closed)


def _activated(state: SteeringState, before: int, reason: str, by: Actor, now: float) -> Event:
    life = state.versions[state.active]
    return event(
        "config_activated",
        now,
        by,
        version=life.number,
        before=before,
        author=life.author,
        reason=reason or life.message,
        config_hash=life.content_hash,
    )
