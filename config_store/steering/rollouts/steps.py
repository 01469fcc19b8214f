"""A rollout on its way: judged, advanced step by step, never left waiting without an end."""

from config_store.errors import OvertakenError, RefusedChangeError, TooEarlyError
from config_store.steering.changes import (
    MOST_CHARACTERS,
    Changed,
    event,
    refuse_emergency,
    refuse_empty,
    refuse_frozen,
    with_fields,
)
from config_store.steering.commands import Actor, Advance, Judge, Wait
from config_store.steering.rollouts.switches import end_rollout, finish
from config_store.steering.state import (
    Rollout,
    SteeringState,
    Strategy,
    Verdict,
)
from observability.timeline.event import Event

JUDGED = {Strategy.CANARY, Strategy.SHADOW}


def judge(state: SteeringState, command: Judge, by: Actor, now: float) -> Changed:
    rollout = _at_step(state, command.rollout, command.step)
    _refuse_unbegun(rollout, now)
    certificates, events = rollout.certificates, tuple[Event, ...]()
    if command.certificate and command.certificate not in certificates:
        certificates = (*certificates, command.certificate)
        events = (_certified(rollout, command, by, now),)
    judged = rollout.model_copy(
        update={
            "verdict": command.verdict,
            "note": command.note[:MOST_CHARACTERS],
            "certificates": certificates,
        }
    )
    state = with_fields(state, rollout=judged)
    if command.verdict is Verdict.BAD:
        ended = end_rollout(state, judged.note or "the verdict is bad", by, now)
        return Changed(ended.state, (*events, *ended.events))
    return Changed(state, events)


def _certified(rollout: Rollout, command: Judge, by: Actor, now: float) -> Event:
    """Name the certificate where it stays: who rewrites it and the ledger is told by its hash."""
    return event(
        "rollout_judged",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        step=rollout.step,
        verdict=command.verdict,
        certificate=command.certificate,
        reason=command.note or "no reason was given",
    )


def advance(state: SteeringState, command: Advance, by: Actor, now: float) -> Changed:
    rollout = _at_step(state, command.rollout, command.step)
    refuse_emergency(state)
    refuse_frozen(state, now)
    _refuse_unbegun(rollout, now)
    _refuse_late(rollout, now)
    if needs_evidence(rollout) and rollout.verdict is not Verdict.GOOD:
        raise RefusedChangeError(
            f"The verdict on step {rollout.step} of rollout {rollout.id} is {rollout.verdict}: "
            "it advances on the verdict good. Wait for it, or abort."
        )
    if rollout.step == rollout.last_step:
        finished = finish(state, rollout, by, now)
        noted = event("rollout_finished", now, by, rollout=rollout.id, version=rollout.candidate)
        return Changed(finished.state, (noted, *finished.events))
    return _next_step(state, rollout, by, now)


def wait(state: SteeringState, command: Wait, by: Actor, now: float) -> Changed:
    rollout = _at_step(state, command.rollout, command.step)
    refuse_empty("A wait", command.reason)
    _refuse_late(rollout, now)
    if not rollout.step_deadline < command.deadline <= rollout.ends:
        raise RefusedChangeError(
            f"The deadline of step {rollout.step} is {rollout.step_deadline:.0f}, and the rollout "
            f"ends at {rollout.ends:.0f}: give a time between them, not {command.deadline:.0f}."
        )
    return _waiting(state, rollout, command.deadline, command.reason, by, now)


def _waiting(
    state: SteeringState, rollout: Rollout, deadline: float, reason: str, by: Actor, now: float
) -> Changed:
    """Put off the deadline of a rollout's step."""
    noted = event(
        "rollout_waits",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        step=rollout.step,
        deadline=deadline,
        reason=reason,
    )
    longer = rollout.model_copy(update={"step_deadline": deadline})
    return Changed(with_fields(state, rollout=longer), (noted,))


def expire_rollout(state: SteeringState, by: Actor, now: float) -> Changed:
    """Abort a rollout whose step is past its deadline; put off the deadline of one in a freeze.

    It is put off as soon as the freeze begins, so that everybody can read until when.
    """
    if (rollout := state.rollout) is None:
        return Changed(state)
    put_off = rollout.put_off(state.freezes, now)
    if now >= (rollout.step_deadline if put_off is None else put_off.deadline):
        return end_rollout(state, _why_late(state, rollout, now), by, now, interrupted=True)
    if put_off is None:
        return Changed(state)
    deadline, freeze = put_off
    reason = f"the freeze {freeze.id} by {freeze.by} holds ({freeze.reason})"
    return _waiting(state, rollout, deadline, reason[:MOST_CHARACTERS], by, now)


def _why_late(state: SteeringState, rollout: Rollout, now: float) -> str:
    reason = f"step {rollout.step} had the verdict {rollout.verdict} at its deadline"
    if now >= rollout.ends and (frozen := state.freezes_at(now)):
        reason += f", in the freeze {frozen[0].id} ({frozen[0].reason}) that outlasts the rollout"
    if rollout.note:
        reason += f": {rollout.note}"
    return reason[:MOST_CHARACTERS]


def needs_evidence(rollout: Rollout) -> bool:
    """Tell whether this step ends only on the verdict good.

    Where all keys see the candidate there is nobody left to compare with.
    """
    compared = rollout.strategy in JUDGED and rollout.shares[rollout.step] < 1.0
    return compared and rollout.settings.evidence


def _next_step(state: SteeringState, rollout: Rollout, by: Actor, now: float) -> Changed:
    begins = now + rollout.settings.lead_seconds
    step = rollout.step + 1
    following = rollout.model_copy(
        update={
            "step": step,
            "step_begun": begins,
            "step_deadline": min(begins + rollout.settings.step_seconds, rollout.ends),
            "verdict": Verdict.UNKNOWN,
            "note": "",
        }
    )
    noted = event(
        "rollout_advanced",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        step=step,
        percent=100 * rollout.shares[step],
    )
    return Changed(with_fields(state, rollout=following), (noted,))


def _at_step(state: SteeringState, rollout_id: str, step: int) -> Rollout:
    rollout = state.rollout
    if rollout is None or rollout.id != rollout_id:
        raise OvertakenError(
            f"The rollout {rollout_id} does not go on: "
            f"{f'{rollout.id} does' if rollout else 'none does'}."
        )
    if rollout.step != step:
        raise OvertakenError(
            f"The rollout {rollout_id} is at step {rollout.step} by now, and not at {step}."
        )
    return rollout


def _refuse_unbegun(rollout: Rollout, now: float) -> None:
    if now < rollout.step_begun:
        raise TooEarlyError(
            f"Step {rollout.step} of rollout {rollout.id} begins in "
            f"{rollout.step_begun - now:.1f} s: wait until then."
        )


def _refuse_late(rollout: Rollout, now: float) -> None:
    if now >= rollout.step_deadline:
        raise OvertakenError(
            f"Step {rollout.step} of rollout {rollout.id} is past its deadline: it can only be "
            "aborted."
        )
