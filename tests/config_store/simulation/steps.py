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
    LeaveLock,
    RollBack,
    Withdraw,
)
from config_store.steering.state import Outcome, Rollout, Stage, SteeringState, Strategy, Verdict
from config_store.steering.transitions import apply
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.simulated_redis import Contents

JUDGED = {Strategy.CANARY, Strategy.SHADOW}
# A step is stored so soon after it was decided.
STORED_SECONDS = 1.0
SWITCHED = {"config_activated", "config_adopted"}
ENDED = {"override_ended", "freeze_ended", "lock_left"}
WAITING = {Stage.DRAFT, Stage.VALIDATING, Stage.APPROVED}
MAY_GO_FOR_A_DRAFT = {Stage.DRAFT, Stage.VALIDATING, Stage.WITHDRAWN}
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
    ends_are_told(before, state, told)


def ends_are_told(before: SteeringState, state: SteeringState, told: list[dict[str, Any]]) -> None:
    """Hold that the timeline has the end of each override, freeze and lock that is gone."""
    ended = {
        each["details"].get("override") or each["details"].get("freeze") or each["kind"]
        for each in told
        if each["kind"] in ENDED
    }
    targets = {(each.family, each.entity, each.field) for each in state.overrides}
    for override in set(before.overrides) - set(state.overrides):
        replaced = (override.family, override.entity, override.field) in targets
        check(replaced or override.id in ended, f"nothing tells that {override} ended")
    for freeze in set(before.freezes) - set(state.freezes):
        check(freeze.id in ended, f"nothing tells that {freeze} ended")
    if before.lock is not None and state.lock is None:
        check("lock_left" in ended, f"nothing tells that {before.lock} ended")


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
    same = _without_clock(found.model_copy(update={"revision": state.revision}))
    check(same == _without_clock(state), f"{commands} was made of another state than the last one")


def _without_clock(state: SteeringState) -> SteeringState:
    """Leave out what has the time of Redis, and not that of the change."""
    on = state.emergency and state.emergency.model_copy(update={"since": 0.0})
    ended = None if state.released is None else 0.0
    return state.model_copy(update={"emergency": on, "released": ended})


def by_clock_of_redis(state: SteeringState, now: float) -> None:
    """Hold that no emergency begins or ends later than now, whose clock ever was ahead."""
    on, ended = state.emergency, state.released
    check(on is None or on.since <= now + 1e-5, "an emergency begins later than by Redis's clock")
    check(ended is None or ended <= now + 1e-5, "an emergency ends later than by Redis's clock")


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
    by_time = all(isinstance(each, Expire) for each in commands)
    check(not (by_time and is_held(before, was, state.changed)), "a freeze ended a rollout")


def is_held(before: SteeringState, rollout: Rollout, at: float) -> bool:
    """Tell whether a freeze leaves this step time: it held it before its deadline came."""
    return at < rollout.ends and any(
        each.begins <= at < each.ends + rollout.settings.step_seconds
        and each.begins < rollout.step_deadline
        and rollout.step_begun < each.ends
        for each in before.freezes
    )


def deploys_are_earned(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    lock = before.lock_at(state.changed)
    for command in commands:
        if isinstance(command, LeaveLock):
            lock = None
        if isinstance(command, (Deploy, Draft, Withdraw)):
            check(lock is None or lock.by == by.name, f"{command} began past a lock")
        if not isinstance(command, Deploy):
            continue
        candidate = before.versions[command.number]
        others = {
            each.by for each in candidate.approvals if each.content_hash == candidate.content_hash
        }
        needed = before.settings.approvals_needed
        check(candidate.checked is not None, "a version was deployed that was never checked")
        own = {candidate.author, *candidate.co_authors}
        check(len(others - own) >= needed, "approvals are missing")
        check(not before.freezes_at(state.changed), "a deploy began in a freeze")
        check(before.emergency is None, "a deploy began in emergency mode")


def drafts_have_room_of_their_own(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    """Hold that drafts are bounded, and push nothing out that was deployed or is approved."""
    if not any(isinstance(each, Draft) for each in commands):
        return
    waiting = [life for life in before.versions.values() if life.stage in WAITING]
    own = [life for life in waiting if life.author == by.name]
    check(len(waiting) < before.settings.drafts_at_most, "there are too many drafts")
    check(len(own) < before.settings.drafts_per_author, f"{by.name} has too many drafts")
    if len(before.versions) - len(waiting) > before.settings.versions_kept:
        return  # what was activated past steering is too many already
    staying = {
        life.number for life in before.versions.values() if life.stage not in MAY_GO_FOR_A_DRAFT
    }
    gone = staying - state.versions.keys()
    check(not gone, f"a draft pushed {sorted(gone)} out")


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
