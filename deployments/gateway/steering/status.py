"""Which legal state the configuration is in, what the replicas run, and what to do about it.

A change is one step in Redis: whatever was killed in between, one of these states is found.
"""

from collections.abc import Iterable
from typing import Literal

from config_store.running import Running
from config_store.steering.drafts import undeployed
from config_store.steering.state import SteeringState
from config_store.steering.status import describe, problems
from deployments.api.config_past import RunningShown
from deployments.api.config_steering import FreezeShown, LockShown, State, SteeringShown
from deployments.gateway.steering.words import time_of

MOST_DRAFTS = 20
MOST_NAMED = 5


def describe_steering(
    state: SteeringState, running: Iterable[Running], now: float
) -> SteeringShown:
    wanted = state.versions[state.active].content_hash
    reports = describe_running(state.active, wanted, running)
    behind = [each for each in reports if each.state == "behind"]
    lock = state.lock_at(now)
    return SteeringShown(
        state=_state(state, behind),
        meaning=[*describe(state, now), *_in_words(reports)],
        active=state.active,
        config_hash=wanted,
        revision=state.revision,
        warm=list(state.warm),
        drafts=undeployed(state)[::-1][:MOST_DRAFTS],
        rollout=state.rollout,
        emergency=None if state.emergency is None else state.emergency.reason,
        lock=None
        if lock is None
        else LockShown(
            by=lock.by, reason=lock.reason, since=time_of(lock.at), until=time_of(lock.expires)
        ),
        freezes=[
            FreezeShown(
                id=each.id,
                by=each.by,
                reason=each.reason,
                begins=time_of(each.begins),
                ends=time_of(each.ends),
                holds=each.begins <= now < each.ends,
            )
            for each in state.freezes
        ],
        approvals_needed=state.settings.approvals_needed,
    )


def describe_running(active: int, wanted: str, running: Iterable[Running]) -> list[RunningShown]:
    """Compare what each replica reported with the version that is active, and its hash."""
    return [
        RunningShown(
            replica=each.replica,
            role=each.role,
            version=each.version,
            config_hash=each.config_hash,
            age_s=each.age_s,
            look_age_s=each.look_age_s,
            state=_compared(each, wanted, active),
        )
        for each in running
    ]


def _compared(
    each: Running, wanted: str, active: int
) -> Literal["same", "behind", "lagging", "silent"]:
    if (each.version, each.config_hash) != (active, wanted):
        return "behind"
    if each.silent:
        return "silent"
    return "lagging" if each.lags else "same"


def _state(state: SteeringState, behind: list[RunningShown]) -> State:
    if problems(state):
        return "illegal"
    if state.emergency is not None:
        return "emergency"
    if state.rollout is not None:
        return "rollout"
    return "incomplete" if behind else "settled"


def _in_words(reports: list[RunningShown]) -> list[str]:
    """Name those that are not as they should be, and what to do about them."""
    found = []
    if behind := [each for each in reports if each.state == "behind"]:
        found.append(
            f"{len(behind)} replicas go by another version: {_named(behind)}. They follow within "
            "seconds; where one does not, its log says why, and `ballast config repair` has all of "
            "them load it anew. Until then rows go to the others."
        )
    if lost := [each for each in reports if each.state in {"lagging", "silent"}]:
        found.append(
            f"{len(lost)} replicas have not looked or reported for long: {_named(lost)}. They do "
            "not hear of changes: look whether each still runs, and reaches Redis. Until then rows "
            "go to the others."
        )
    return found


def _named(reports: list[RunningShown]) -> str:
    return ", ".join(f"{each.replica} ({each.version})" for each in reports[:MOST_NAMED])
