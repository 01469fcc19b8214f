"""What a version is to the emergency rules, by the steering state as it is known here.

A gateway may know more than a safety replica. So a version that is not known to be in force may be
the candidate of a rollout of which this replica has not heard yet, and what it breaks is never held
against the platform.
"""

from enum import Enum, auto
from typing import Protocol

from config_store.steering.state import Rollout, Stage, SteeringState


class Steering(Protocol):
    """What a replica knows of the steering state, and whether it looked at it just now."""

    @property
    def value(self) -> SteeringState | None: ...
    @property
    def up_to_date(self) -> bool: ...


class Standing(Enum):
    IN_FORCE = auto()  # counts for the platform
    CANDIDATE = auto()  # counts for itself
    ROLLED_BACK = auto()  # answers nobody any more
    UNKNOWN = auto()  # it will be known within seconds


def standing_of(version: int, steering: Steering) -> Standing:
    """Tell what a version is that answers.

    One that was in force counts on, for a gateway that is behind goes by it; but only where this
    replica knows of every rollout, since it may be the candidate of one again.
    """
    state = steering.value
    if state is None:
        return Standing.UNKNOWN
    if version == state.active:
        return Standing.IN_FORCE
    if candidate_of(state, version) is not None:
        return Standing.CANDIDATE
    life = state.versions.get(version)
    stage = None if life is None else life.stage
    if stage is Stage.ROLLED_BACK:
        return Standing.ROLLED_BACK
    left = stage is Stage.DEPRECATED and steering.up_to_date
    return Standing.IN_FORCE if left else Standing.UNKNOWN


def candidate_of(state: SteeringState | None, version: int) -> Rollout | None:
    """Give the rollout that goes on where this version is its candidate."""
    rollout = None if state is None else state.rollout
    return rollout if rollout is not None and rollout.candidate == version else None


def begun_of(state: SteeringState | None, version: int) -> float:
    """Tell when the last rollout of this version began; 0 where none is known."""
    known = () if state is None else (state.rollout, state.last_rollout)
    return max((r.begun for r in known if r is not None and r.candidate == version), default=0.0)
