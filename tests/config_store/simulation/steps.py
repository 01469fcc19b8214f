"""What must hold from one state to the next; docs/steering.md states the same in words."""

from typing import Any

from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    Abort,
    Actor,
    Command,
    Deploy,
    Draft,
    EmergencyOff,
    EmergencyOn,
    Expire,
    Judge,
    RollBack,
)
from config_store.steering.state import Outcome, Rollout, SteeringState, Strategy, Verdict
from config_store.steering.transitions import apply
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.simulated_redis import Contents

JUDGED = {Strategy.CANARY, Strategy.SHADOW}
# A step is stored so soon after it was decided.
STORED_SECONDS = 1.0
SWITCHED = {"config_activated", "config_adopted"}
# Between deploys of these, keys change their version only where a step begins.
GRADUAL = {Strategy.CANARY, Strategy.ROLLING}


def check_change(
    before: SteeringState,
    state: SteeringState,
    told: list[dict[str, Any]],
    commands: tuple[Command, ...],
    by: Actor,
) -> None:
    """Hold a change that steering made against what was there before it."""
    is_told(before, state, told)
    goes_forward(before, state)
    shares_only_grow(before, state)
    emergency_stays(before, state, commands)
    steps_are_earned(judged_within(before, commands), state)
    deploys_are_earned(before, state, commands, by)


def is_told(before: SteeringState, state: SteeringState, told: list[dict[str, Any]]) -> None:
    """Hold that what serves differently is on the timeline, noted in the same step."""
    kinds = [each["kind"] for each in told]
    if state.active != before.active:
        names = {each["details"].get("version") for each in told if each["kind"] in SWITCHED}
        check(state.active in names, f"nothing tells that {state.active} is active: {kinds}")
    if (state.emergency is None) != (before.emergency is None):
        kind = "emergency_on" if state.emergency else "emergency_off"
        check(kind in kinds, f"nothing tells of {kind}")


def adopts(
    told: list[dict[str, Any]],
    pointer: bytes | None,
    contents: Contents,
    commands: tuple[Command, ...],
) -> None:
    """Hold that a version which something else activated is taken in, and not passed over."""
    number = int(pointer or b"0")
    drafts = {each.number for each in commands if isinstance(each, Draft)}
    if number not in contents.versions or number in drafts:
        return  # its document is gone
    taken = {each["details"]["version"] for each in told if each["kind"] == "config_adopted"}
    check(number in taken, f"version {number} was active past steering, and is not taken in")


def leads(before: SteeringState | None, state: SteeringState, now: float) -> None:
    """Hold that all gateways can know of a step before it begins."""
    was, rollout = None if before is None else before.rollout, state.rollout
    if rollout is None or (was is not None and (was.id, was.step) == (rollout.id, rollout.step)):
        return
    soonest = now + rollout.settings.lead_seconds - STORED_SECONDS
    check(rollout.step_begun >= soonest - 1e-5, "a step was stored too late for its lead")


def goes_forward(before: SteeringState, state: SteeringState) -> None:
    check(state.revision > before.revision, "the revision did not grow")
    check(state.changed >= before.changed, "time went back")


def follows(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    """Hold that the commands make this state of the very one before it, and of no older one."""
    found = before
    try:
        for command in commands:
            found = apply(found, command, by, state.changed).state
    except RefusedChangeError as refusal:
        raise ViolationError(f"it would be refused by now: {refusal}") from refusal
    same = found.model_copy(update={"revision": state.revision}) == state
    check(same, f"{commands} was made of another state than the last one")


def drafted(before: SteeringState, state: SteeringState) -> tuple[Command, ...]:
    """Give the command that made the newest version: its number is chosen as it is written."""
    life = state.versions[max(state.versions)]
    check(life.number > max(before.versions), "a number was given out again")
    return (Draft(life.number, life.content_hash, life.message, life.parent or 0),)


def emergency_stays(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...]
) -> None:
    ended = any(isinstance(each, EmergencyOff) for each in commands)
    if before.emergency is not None and not ended:
        check(state.emergency == before.emergency, "emergency mode ended without an admin's word")


def judged_within(before: SteeringState, commands: tuple[Command, ...]) -> SteeringState:
    """Give the state with the verdict that the very change brought with it."""
    rollout = before.rollout
    verdicts = [each.verdict for each in commands if isinstance(each, Judge)]
    if rollout is None or not verdicts:
        return before
    judged = rollout.model_copy(update={"verdict": verdicts[-1]})
    return before.model_copy(update={"rollout": judged})


def steps_are_earned(before: SteeringState, state: SteeringState) -> None:
    """Hold that a rollout goes on by a verdict, in time, by one step, and never in a freeze."""
    was, now = before.rollout, state.rollout
    if was is None:
        return
    went_on = now is not None and now.id == was.id and now.step > was.step
    finished = has_finished(was, state)
    if not went_on and not finished:
        return
    check(before.emergency is None, "a rollout went on in emergency mode")
    check(not before.freezes_at(state.changed), "a rollout went on in a freeze")
    check(state.changed >= was.step_begun, "a step ended before it began")
    check(state.changed < was.step_deadline, "a step ended past its deadline")
    if was.strategy in JUDGED and was.shares[was.step] < 1 and was.settings.evidence:
        check(was.verdict is Verdict.GOOD, f"a rollout went on by the verdict {was.verdict}")
    if finished:
        check(was.step == len(was.shares) - 1, "a rollout left steps out")
        check(state.active == was.candidate, "a rollout finished without its candidate")
    elif now is not None:
        check(now.step == was.step + 1, "a rollout left a step out")
        check(now.verdict is Verdict.UNKNOWN, "a step begins with the verdict of another")
        check(now.step_begun >= state.changed + was.settings.lead_seconds, "a step has no lead")


def has_finished(rollout: Rollout, state: SteeringState) -> bool:
    last = state.last_rollout
    return last is not None and (last.id, last.outcome) == (rollout.id, Outcome.FINISHED)


def ends_are_meant(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...]
) -> None:
    """Hold that a rollout is aborted by those who may, and always where it must be."""
    was = before.rollout
    if was is None:
        return
    goes_on = state.rollout is not None and state.rollout.id == was.id
    bad = any(isinstance(each, Judge) and each.verdict is Verdict.BAD for each in commands)
    check(not (bad and goes_on), "a rollout goes on by the verdict bad")
    check(not (state.emergency and goes_on), "a rollout goes on in emergency mode")
    if goes_on or has_finished(was, state):
        return
    late = state.changed >= was.step_deadline
    meant = any(
        isinstance(each, (Abort, RollBack, EmergencyOn)) or (isinstance(each, Expire) and late)
        for each in commands
    )
    check(meant or bad, f"{commands} ended a rollout")


def deploys_are_earned(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    lock = before.lock_at(state.changed)
    for command in commands:
        if isinstance(command, (Deploy, Draft)):
            check(lock is None or lock.by == by.name, f"{command} began past a lock")
        if not isinstance(command, Deploy):
            continue
        candidate = before.versions[command.number]
        others = {
            each.by for each in candidate.approvals if each.content_hash == candidate.content_hash
        }
        needed = before.settings.approvals_needed
        check(candidate.checked is not None, "a version was deployed that was never checked")
        check(len(others - {candidate.author}) >= needed, "approvals are missing")
        check(not before.freezes_at(state.changed), "a deploy began in a freeze")
        check(before.emergency is None, "a deploy began in emergency mode")


def shares_only_grow(before: SteeringState, state: SteeringState) -> None:
    was, now = before.rollout, state.rollout
    if was is None or now is None or was.id != now.id:
        return
    check(now.shares[now.step] >= was.shares[was.step], "a rollout went back a step")
    fixed = [(each.settings, each.shares, each.ends, each.candidate) for each in (was, now)]
    check(fixed[0] == fixed[1], "a rollout was changed while it went on")


def is_jump(before: SteeringState | None, state: SteeringState) -> bool:
    """Tell whether another rollout begins, or keys may change their version outside its steps."""
    if before is None or (before.rollout is None and state.rollout is not None):
        return True
    if before.rollout is not None and state.rollout is None:
        return not (before.rollout.strategy in GRADUAL and has_finished(before.rollout, state))
    return state.active != before.active
