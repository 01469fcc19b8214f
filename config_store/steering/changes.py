"""What every transition gives, and the parts that several of them share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from config_store.errors import HeldBackError, RefusedChangeError
from config_store.steering.commands import Actor
from config_store.steering.state import Stage, SteeringState, VersionLife
from observability.timeline.event import Detail, Event
from observability.timeline.kinds import Kind


class Changed(NamedTuple):
    """The state after a command, and what to note on the timeline in the same step."""

    state: SteeringState
    events: tuple[Event, ...] = ()


# Longer texts are what programs write; every gateway holds the state.
MOST_CHARACTERS = 2000
# Of what was found in a policy, in a sentence.
MOST_LISTED = 10

Transition = Callable[[SteeringState, Any, Actor, float], Changed]


def event(kind: Kind, now: float, by: Actor, **details: Detail) -> Event:
    return Event(kind, now, details={"by": by.name, **details})


def with_fields(state: SteeringState, **fields: Any) -> SteeringState:
    return state.model_copy(update=fields)


def life_of(state: SteeringState, number: int) -> VersionLife:
    """Give a version's life, or refuse a number that the state does not have."""
    try:
        return state.versions[number]
    except KeyError:
        raise RefusedChangeError(
            f"Steering knows no version {number}: list the versions to see which there are; one "
            "that is older than those can be drafted anew."
        ) from None


def with_lives(state: SteeringState, *lives: VersionLife) -> SteeringState:
    return with_fields(state, versions=state.versions | {each.number: each for each in lives})


def in_stage(
    state: SteeringState, number: int, stage: Stage, *, interrupted: bool = False
) -> SteeringState:
    """Put a version where it is once it was deployed."""
    there = {"stage": stage, "interrupted": interrupted, "adopted": False}
    return with_lives(state, state.versions[number].model_copy(update=there))


def refuse_other_editor(state: SteeringState, by: Actor, now: float) -> None:
    lock = state.lock_at(now)
    if lock is not None and lock.by != by.name:
        raise RefusedChangeError(
            f"{lock.by} has the lock ({lock.reason}): wait until it is left, or have an admin "
            "take it away."
        )


def refuse_frozen(state: SteeringState, now: float) -> None:
    for freeze in state.freezes_at(now):
        raise HeldBackError(
            f"The freeze {freeze.id} by {freeze.by} holds ({freeze.reason}): wait until it ends, "
            "or have an admin remove it. Rolling back is possible all the same."
        )


def refuse_emergency(state: SteeringState) -> None:
    if state.emergency is not None:
        raise HeldBackError(
            f"Emergency mode is on ({state.emergency.reason}): have an admin end it first. Rolling "
            "back is possible all the same."
        )


def listed(names: Sequence[str]) -> str:
    """Write names one after another, the first few of many."""
    more = len(names) - MOST_LISTED
    return f"{'; '.join(names[:MOST_LISTED])}{f'; and {more} more' if more > 0 else ''}"


def its_authors(life: VersionLife) -> str:
    """Name in a sentence who wrote a version."""
    return f"its author{'s' if life.co_authors else ''} {joined(life.authors)}"


def joined(names: Sequence[str]) -> str:
    """Write names as a person would: one, one and another, or more with commas."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def refuse_empty(what: str, text: str) -> None:
    if not text.strip():
        raise RefusedChangeError(f"{what} needs a reason: say in a few words why.")
