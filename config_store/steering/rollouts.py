"""Rollouts: begun, judged, advanced step by step, and never left waiting without an end."""

from collections.abc import Iterator

from config_store.errors import RefusedChangeError
from config_store.steering.changes import (
    MOST_CHARACTERS,
    Changed,
    event,
    in_stage,
    life_of,
    refuse_emergency,
    refuse_empty,
    refuse_frozen,
    refuse_other_editor,
    with_fields,
)
from config_store.steering.commands import Actor, Advance, Deploy, Judge, Wait
from config_store.steering.shares import refuse_shares, shares_of
from config_store.steering.state import (
    Rollout,
    Stage,
    SteeringState,
    Strategy,
    Verdict,
    VersionLife,
)
from config_store.steering.switches import end_rollout, finish

DEPLOYABLE = {Stage.APPROVED, Stage.DEPRECATED, Stage.ROLLED_BACK}
JUDGED = {Strategy.CANARY, Strategy.SHADOW}


def deploy(state: SteeringState, command: Deploy, by: Actor, now: float) -> Changed:
    if _is_known(state, command):
        return Changed(state)
    _refuse_deploy(state, command, by, now)
    rollout = _begun(state, command, by, now)
    begun = event(
        "rollout_begun",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        before=rollout.incumbent,
        strategy=rollout.strategy,
        reason=rollout.reason or state.versions[rollout.candidate].message,
    )
    state = with_fields(in_stage(state, rollout.candidate, Stage.DEPLOYING), rollout=rollout)
    if rollout.strategy is Strategy.BLUE_GREEN and rollout.shares[0] == 1.0:
        finished = finish(state, rollout, by, now)
        return Changed(finished.state, (begun, *finished.events))
    return Changed(state, (begun,))


def judge(state: SteeringState, command: Judge, by: Actor, now: float) -> Changed:
    rollout = _at_step(state, command.rollout, command.step)
    _refuse_unbegun(rollout, now)
    certificates = rollout.certificates
    if command.certificate and command.certificate not in certificates:
        certificates = (*certificates, command.certificate)
    judged = rollout.model_copy(
        update={
            "verdict": command.verdict,
            "note": command.note[:MOST_CHARACTERS],
            "certificates": certificates,
        }
    )
    state = with_fields(state, rollout=judged)
    if command.verdict is Verdict.BAD:
        return end_rollout(state, judged.note or "the verdict is bad", by, now)
    return Changed(state)


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
    noted = event(
        "rollout_waits",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        step=rollout.step,
        deadline=command.deadline,
        reason=command.reason,
    )
    longer = rollout.model_copy(update={"step_deadline": command.deadline})
    return Changed(with_fields(state, rollout=longer), (noted,))


def expire_rollout(state: SteeringState, by: Actor, now: float) -> Changed:
    """Abort a rollout whose step is past its deadline."""
    rollout = state.rollout
    if rollout is None or now < rollout.step_deadline:
        return Changed(state)
    reason = f"step {rollout.step} had the verdict {rollout.verdict} at its deadline"
    return end_rollout(state, reason, by, now)


def needs_evidence(rollout: Rollout) -> bool:
    """Tell whether this step ends only on the verdict good.

    Where all keys see the candidate there is nobody left to compare with.
    """
    compared = rollout.strategy in JUDGED and rollout.shares[rollout.step] < 1.0
    return compared and rollout.settings.evidence


def _is_known(state: SteeringState, command: Deploy) -> bool:
    """Tell whether this very command was carried out before; refuse another one of its id."""
    known = [each for each in (state.rollout, state.last_rollout) if each is not None]
    for rollout in known:
        if rollout.id == command.id:
            if rollout.candidate == command.number:
                return True
            raise RefusedChangeError(
                f"The rollout {command.id} was one of version {rollout.candidate}: give an id of "
                "its own to each."
            )
    return False


def _refuse_deploy(state: SteeringState, command: Deploy, by: Actor, now: float) -> None:
    if state.rollout is not None:
        raise RefusedChangeError(
            f"The rollout {state.rollout.id} of version {state.rollout.candidate} goes on: wait "
            "for its end, or abort it."
        )
    refuse_emergency(state)
    refuse_frozen(state, now)
    refuse_other_editor(state, by, now)
    if command.after != state.active:
        raise RefusedChangeError(
            f"Version {state.active} is active by now, and not {command.after}: look at what it "
            "changed before you deploy."
        )
    life = life_of(state, command.number)
    _refuse_stage(state, life)
    if not command.despite_branch and state.active not in ancestors(state, life.number):
        raise RefusedChangeError(
            f"Version {life.number} was not written on top of the active version {state.active}, "
            "and lacks what that one changed: draft it anew on top, or deploy it despite that."
        )


def _refuse_stage(state: SteeringState, life: VersionLife) -> None:
    if life.stage not in DEPLOYABLE:
        raise RefusedChangeError(
            f"Version {life.number} is {life.stage}{f' ({life.refusal})' if life.refusal else ''}: "
            "deployed is what was validated and approved, and is not active."
        )
    if life.checked is None:
        raise RefusedChangeError(
            f"Version {life.number} has not passed validation"
            f"{f' ({life.refusal})' if life.refusal else ''}: validate it first."
        )
    needed, found = state.settings.approvals_needed, len(life.approved_by)
    if found < needed:
        raise RefusedChangeError(
            f"Version {life.number} has {found} of {needed} approvals: have others than its author "
            f"{life.author} approve it."
        )


def ancestors(state: SteeringState, number: int) -> Iterator[int]:
    """Give the parent of a version, its parent, and so on as far as the state knows them."""
    life = state.versions.get(number)
    while life is not None and life.parent is not None:
        yield life.parent
        life = state.versions.get(life.parent)


def _begun(state: SteeringState, command: Deploy, by: Actor, now: float) -> Rollout:
    settings = command.settings or state.settings.rollout
    shares = command.shares
    if shares is None:
        shares = shares_of(command.strategy, command.replicas)
    refuse_shares(command.strategy, shares)
    begins = now + settings.lead_seconds
    return Rollout(
        id=command.id,
        strategy=command.strategy,
        candidate=command.number,
        incumbent=state.active,
        shares=shares,
        step=0,
        begun=now,
        step_begun=begins,
        step_deadline=begins + settings.step_seconds,
        ends=now + settings.rollout_seconds,
        settings=settings,
        by=by.name,
        reason=command.reason,
    )


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
        raise RefusedChangeError(
            f"The rollout {rollout_id} does not go on: "
            f"{f'{rollout.id} does' if rollout else 'none does'}."
        )
    if rollout.step != step:
        raise RefusedChangeError(
            f"The rollout {rollout_id} is at step {rollout.step} by now, and not at {step}."
        )
    return rollout


def _refuse_unbegun(rollout: Rollout, now: float) -> None:
    if now < rollout.step_begun:
        raise RefusedChangeError(
            f"Step {rollout.step} of rollout {rollout.id} begins in "
            f"{rollout.step_begun - now:.1f} s: wait until then."
        )


def _refuse_late(rollout: Rollout, now: float) -> None:
    if now >= rollout.step_deadline:
        raise RefusedChangeError(
            f"Step {rollout.step} of rollout {rollout.id} is past its deadline: it can only be "
            "aborted."
        )
