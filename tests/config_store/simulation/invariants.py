"""What must hold after every step of a schedule; docs/steering.md states the same in words.

Written for itself, beside the product's own `problems`: a mistake in one is found by the other.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from access.keys import Role
from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    Actor,
    Command,
    Deploy,
    EmergencyOff,
    Expire,
    Judge,
    RollBack,
)
from config_store.steering.in_force import InForce
from config_store.steering.state import Outcome, Rollout, Stage, SteeringState, Strategy, Verdict
from config_store.steering.transitions import apply
from tests.config_store.simulation.simulated_redis import Contents

ANYBODY = Actor("anybody on call", Role.OPERATOR)
JUDGED = {Strategy.CANARY, Strategy.SHADOW}
# Between deploys of these, keys change their version only where a step begins.
SWITCHED = {"config_activated", "config_adopted"}
GRADUAL = {Strategy.CANARY, Strategy.ROLLING}


class ViolationError(AssertionError):
    """An invariant does not hold."""


def check(holds: object, words: str) -> None:
    if not holds:
        raise ViolationError(words)


def check_state(state: SteeringState, contents: Contents, drafted: Iterable[int]) -> None:
    """Hold a state, and what is stored beside it, against all that needs no state before it."""
    one_active(state)
    pointer_follows(state, contents)
    nothing_lost(state, contents, drafted)
    documents_match(state, contents)
    journal_follows(state, contents)
    way_back(state)
    has_an_end(state)


def check_change(
    before: SteeringState,
    state: SteeringState,
    told: list[dict[str, Any]],
    commands: tuple[Command, ...],
    by: Actor,
    *,
    past_steering: bool = False,
) -> None:
    """Hold a change against what was there before it."""
    is_told(before, state, told)
    goes_forward(before, state)
    shares_only_grow(before, state)
    emergency_stays(before, state, commands, by)
    if not past_steering:
        steps_are_earned(judged_within(before, commands), state)
        deploys_are_earned(before, state, commands)


def one_active(state: SteeringState) -> None:
    actives = [n for n, life in state.versions.items() if life.stage is Stage.ACTIVE]
    check(actives == [state.active], f"actives are {actives}, in force is {state.active}")
    deploying = [n for n, life in state.versions.items() if life.stage is Stage.DEPLOYING]
    candidates = [] if state.rollout is None else [state.rollout.candidate]
    check(deploying == candidates, f"deploying are {deploying}, candidates {candidates}")
    if state.rollout is not None:
        check(state.rollout.incumbent == state.active, "the incumbent is not the active version")


def pointer_follows(state: SteeringState, contents: Contents) -> None:
    check(contents.pointer == b"%d" % state.active, "the pointer names another version")


def nothing_lost(state: SteeringState, contents: Contents, drafted: Iterable[int]) -> None:
    for number in drafted:
        check(number in contents.versions, f"the document of version {number} is lost")
        kept = number in state.versions or b"%d" % number in contents.filed
        check(kept, f"the life of version {number} is lost")


def is_tree(before: SteeringState | None, state: SteeringState) -> None:
    for number, life in state.versions.items():
        root = life.parent is None
        check(life.number == number, f"version {number} has the life of another")
        check(root == (number == 1), f"version {number} has the parent {life.parent}")
        check(root or (life.parent or 0) < number, f"version {number} has a later parent")
        known = before.versions.get(number) if before is not None else None
        same = known is None or (known.parent, known.content_hash, known.author) == (
            life.parent,
            life.content_hash,
            life.author,
        )
        check(same, f"version {number} became another one")


def documents_match(state: SteeringState, contents: Contents) -> None:
    for number, life in state.versions.items():
        stored = orjson.loads(contents.versions[number])
        check(stored["config_hash"] == life.content_hash, f"version {number} has another document")


def journal_follows(state: SteeringState, contents: Contents) -> None:
    """Hold that the journal's last entry says what is in force."""
    entry = InForce.read(contents.in_force[-1][1])
    rollout, life = state.rollout, state.versions[state.active]
    told = (entry.active, entry.content_hash, entry.candidate, entry.emergency)
    candidate = None if rollout is None else rollout.candidate
    emergency = None if state.emergency is None else state.emergency.reason
    holds = told == (state.active, life.content_hash, candidate, emergency)
    check(holds, f"the journal says {told} is in force")


def is_told(before: SteeringState, state: SteeringState, told: list[dict[str, Any]]) -> None:
    """Hold that what serves differently is on the timeline, noted in the same step."""
    kinds = [each["kind"] for each in told]
    if state.active != before.active:
        names = {each["details"].get("version") for each in told if each["kind"] in SWITCHED}
        check(state.active in names, f"nothing tells that {state.active} is active: {kinds}")
    if (state.emergency is None) != (before.emergency is None):
        kind = "emergency_on" if state.emergency else "emergency_off"
        check(kind in kinds, f"nothing tells of {kind}")


def goes_forward(before: SteeringState, state: SteeringState) -> None:
    check(state.revision > before.revision, "the revision did not grow")
    check(state.changed >= before.changed, "time went back")


def emergency_stays(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...], by: Actor
) -> None:
    if before.emergency is None:
        return
    ended = any(isinstance(each, EmergencyOff) for each in commands) and by.role is Role.ADMIN
    if not ended:
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
    """Hold that a rollout goes on by a verdict, in time, and never in a freeze."""
    was = before.rollout
    if was is None:
        return
    went_on = state.rollout is not None and state.rollout.step > was.step
    if not went_on and not has_finished(was, state):
        return
    check(before.emergency is None, "a rollout went on in emergency mode")
    check(not before.freezes_at(state.changed), "a rollout went on in a freeze")
    check(state.changed >= was.step_begun, "a step ended before it began")
    check(state.changed < was.step_deadline, "a step ended past its deadline")
    if was.strategy in JUDGED and was.shares[was.step] < 1 and was.settings.evidence:
        check(was.verdict is Verdict.GOOD, f"a rollout went on by the verdict {was.verdict}")


def has_finished(rollout: Rollout, state: SteeringState) -> bool:
    last = state.last_rollout
    return last is not None and (last.id, last.outcome) == (rollout.id, Outcome.FINISHED)


def deploys_are_earned(
    before: SteeringState, state: SteeringState, commands: tuple[Command, ...]
) -> None:
    for deploy in (each for each in commands if isinstance(each, Deploy)):
        candidate = before.versions[deploy.number]
        others = {each.by for each in candidate.approvals} - {candidate.author}
        check(candidate.checked is not None, "a version was deployed that was never checked")
        check(len(others) >= before.settings.approvals_needed, "approvals are missing")
        check(not before.freezes_at(state.changed), "a deploy began in a freeze")
        lock = before.lock_at(state.changed)
        check(lock is None or lock.by == lock_holder(state), "a deploy began past a lock")


def lock_holder(state: SteeringState) -> str:
    found = state.rollout or state.last_rollout
    return "" if found is None else found.by


def shares_only_grow(before: SteeringState, state: SteeringState) -> None:
    was, now = before.rollout, state.rollout
    if was is None or now is None or was.id != now.id:
        return
    check(now.shares[now.step] >= was.shares[was.step], "a rollout went back a step")
    check((was.settings, was.shares) == (now.settings, now.shares), "a rollout was changed")


def way_back(state: SteeringState) -> None:
    """Every warm version can be gone back to at once, whatever else holds."""
    good = [each for each in state.warm if state.versions[each].stage is not Stage.ROLLED_BACK]
    for number in [*state.warm, *([None] if good and state.rollout is None else [])]:
        try:
            after = apply(state, RollBack("it is bad", number), ANYBODY, state.changed).state
        except RefusedChangeError as refusal:
            raise ViolationError(f"no way back to {number}: {refusal}") from refusal
        check(after.active == (number or good[0]), f"went back to {after.active}, not {number}")
        one_active(after)
        check(state.active in after.warm, f"{state.active} is not warm after it was left")


def has_an_end(state: SteeringState) -> None:
    if state.rollout is None:
        return
    rollout: Rollout = state.rollout
    check(rollout.step_deadline <= rollout.ends, "a step's deadline is past the rollout's end")
    after = apply(state, Expire(), ANYBODY, rollout.ends).state
    check(after.rollout is None, "a rollout goes on past its end")


def is_jump(before: SteeringState | None, state: SteeringState) -> bool:
    """Tell whether another rollout begins, or keys may change their version outside its steps."""
    if before is None or (before.rollout is None and state.rollout is not None):
        return True
    if before.rollout is not None and state.rollout is None:
        return not (before.rollout.strategy in GRADUAL and has_finished(before.rollout, state))
    return state.active != before.active
