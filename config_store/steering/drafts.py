"""Versions that were never deployed: how many there may be, and how one is given up.

They have room of their own in the state, so that none of them pushes out what is approved, or what
can be gone back to.
"""

from config_store.errors import RefusedChangeError, TooManyDraftsError
from config_store.steering.changes import (
    Changed,
    event,
    life_of,
    refuse_other_editor,
    with_fields,
    with_lives,
)
from config_store.steering.commands import Actor, Withdraw
from config_store.steering.state import UNDEPLOYED, Stage, SteeringState, VersionLife

MOST_NAMED = 5


def undeployed(state: SteeringState, author: str | None = None) -> list[int]:
    """Give the numbers of those neither deployed nor withdrawn yet, oldest first."""
    return sorted(
        life.number
        for life in state.versions.values()
        if life.stage in UNDEPLOYED and author in {None, life.author}
    )


def refuse_too_many(state: SteeringState, by: Actor) -> None:
    for whose, found, most in (
        (f"{by.name} has", undeployed(state, by.name), state.settings.drafts_per_author),
        ("There are", undeployed(state), state.settings.drafts_at_most),
    ):
        if len(found) >= most:
            oldest = " ".join(map(str, found[:MOST_NAMED]))
            raise TooManyDraftsError(
                f"{whose} {len(found)} versions that were never deployed, and {most} may be: "
                "withdraw those that nobody needs any more. The oldest are "
                f"{oldest}: `ballast config withdraw {oldest}`."
            )


def withdraw(state: SteeringState, command: Withdraw, by: Actor, now: float) -> Changed:
    refuse_other_editor(state, by, now)
    life = life_of(state, command.number)
    if life.stage is Stage.WITHDRAWN:
        return Changed(state)
    if life.stage not in UNDEPLOYED:
        raise RefusedChangeError(
            f"Version {life.number} is {life.stage}: only what was never deployed is withdrawn."
        )
    reason = command.reason or "it is not needed any more"
    noted = event("config_withdrawn", now, by, version=life.number, reason=reason)
    gone = life.model_copy(update={"stage": Stage.WITHDRAWN})
    return Changed(with_lives(state, gone), (noted,))


def spent(
    before: SteeringState | None, after: SteeringState, *, makes_room: bool
) -> list[VersionLife]:
    """Give withdrawn ones whose documents nobody needs: nothing was ever answered by them.

    One on top of which a draft was written that waits is needed to read that. Those that a change
    lets go are told at once, for nobody finds them afterwards; all others where it makes room.
    """
    known = {} if before is None else before.versions
    gone = [life for number, life in known.items() if number not in after.versions]
    parents = {life.parent for life in after.versions.values() if life.stage in UNDEPLOYED}
    kept = [each for each in after.versions.values() if each.number not in parents]
    found = [*gone, *kept] if makes_room else gone
    return [each for each in found if each.stage is Stage.WITHDRAWN and not each.adopted]


def of_unknown_past(state: SteeringState) -> dict[int, VersionLife]:
    """Give the lives of a state that is written again: what came after it is lost.

    What waits in it may have been deployed then, and rows of the ledger may name it.
    """
    return {
        number: life.model_copy(update={"adopted": True}) if life.stage in UNDEPLOYED else life
        for number, life in state.versions.items()
    }


def refuse_withdrawn(state: SteeringState, number: int) -> None:
    if life_of(state, number).stage is Stage.WITHDRAWN:
        raise RefusedChangeError(f"Version {number} was withdrawn: draft it anew if it is needed.")


def pruned(state: SteeringState) -> SteeringState:
    """Let the oldest lives go, of each sort by itself: none pushes out one of another sort.

    Never one that serves, may be rolled back to, or is approved; nor the newest one, by whose
    number the next one is known. There are too many drafts only where something else than steering
    made them, or fewer are allowed than before.
    """
    gone = {*_drafts_to_go(state), *_past_to_go(state)} - {max(state.versions)}
    if not gone:
        return state
    lives = {number: life for number, life in state.versions.items() if number not in gone}
    return with_fields(state, versions=lives)


def _drafts_to_go(state: SteeringState) -> list[int]:
    waiting = undeployed(state)
    excess = max(0, len(waiting) - state.settings.drafts_at_most)
    return [n for n in waiting if state.versions[n].stage is not Stage.APPROVED][:excess]


def _past_to_go(state: SteeringState) -> list[int]:
    """Give the oldest that were deployed; of those that were withdrawn, who finds no room left."""
    needed = {state.active, *state.warm}
    if state.rollout is not None:
        needed.add(state.rollout.candidate)
    past = {n: life.stage for n, life in state.versions.items() if life.stage not in UNDEPLOYED}
    withdrawn = sorted(n for n, stage in past.items() if stage is Stage.WITHDRAWN)
    deployed = sorted(past.keys() - set(withdrawn))
    room = state.settings.versions_kept - len(deployed)
    oldest = [n for n in deployed if n not in needed][: max(0, -room)]
    return oldest + withdrawn[: max(0, len(withdrawn) - max(0, room))]
