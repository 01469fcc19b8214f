"""What must hold of every state that is stored; docs/steering.md states the same in words.

Written for itself, beside the product's own `problems`: a mistake in one is found by the other.
"""

from collections.abc import Iterable

import orjson

from access.keys import Role
from config_store.errors import RefusedChangeError
from config_store.steering.commands import Actor, Expire, RollBack
from config_store.steering.journal import JournalEntry
from config_store.steering.state import Rollout, Stage, SteeringState
from config_store.steering.transitions import apply
from tests.config_store.simulation.simulated_redis import Contents

ANYBODY = Actor("anybody on call", Role.OPERATOR)


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
    has_an_end(state)
    one_override_each(state)


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
        there = number in contents.versions or number in contents.spoilt
        check(there, f"the document of version {number} is lost")
        kept = number in state.versions or b"%d" % number in contents.filed
        check(kept, f"the life of version {number} is lost")


def is_tree(before: SteeringState | None, state: SteeringState) -> None:
    for number, life in state.versions.items():
        root = life.parent is None
        check(life.number == number, f"version {number} has the life of another")
        check(root == (number == 1), f"version {number} has the parent {life.parent}")
        check(root or (life.parent or 0) < number, f"version {number} has a later parent")
        known = before.versions.get(number) if before is not None else None
        same = known is None or (known.parent, known.content_hash, known.authors) == (
            life.parent,
            life.content_hash,
            life.authors,
        )
        check(same, f"version {number} became another one")


def documents_match(state: SteeringState, contents: Contents) -> None:
    for number in state.versions.keys() - contents.spoilt:
        check(is_of(state, number, contents), f"version {number} has another document")


def is_of(state: SteeringState, number: int, contents: Contents) -> bool:
    """Tell whether the document that is stored is the one that the life names.

    Of a withdrawn version it need not be there any more, but for what else its record says.
    """
    if (record := contents.versions.get(number)) is None:
        return False
    fields, life = orjson.loads(record), state.versions[number]
    is_whole = "document" in fields or life.stage is Stage.WITHDRAWN
    return is_whole and bool(fields["config_hash"] == life.content_hash)


def journal_follows(state: SteeringState, contents: Contents) -> None:
    """Hold that the journal's last entry says what is in force."""
    entry = JournalEntry.read(contents.in_force[-1][1])
    rollout, life = state.rollout, state.versions[state.active]
    told = (entry.active, entry.content_hash, entry.candidate, entry.share, entry.emergency)
    candidate = None if rollout is None else rollout.candidate
    share = 0.0 if rollout is None else rollout.shares[rollout.step]
    emergency = None if state.emergency is None else state.emergency.reason
    holds = told == (state.active, life.content_hash, candidate, share, emergency)
    check(holds, f"the journal says {told} is in force")
    check(entry.overrides == state.overrides, "the journal has other overrides")


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


def one_override_each(state: SteeringState) -> None:
    """Hold that nothing is overridden by two people at once."""
    targets = [(each.family, each.entity, each.field) for each in state.overrides]
    check(len(set(targets)) == len(targets), f"two overrides of the same: {targets}")
