"""Which legal state the configuration is in, what the replicas run, and what to do about it.

A change is one step in Redis: whatever was killed in between, one of these states is found.
"""

from collections.abc import Iterable
from typing import Literal

from config_store.running import Running
from config_store.steering.rollouts import needs_evidence
from config_store.steering.state import Rollout, Stage, SteeringState
from deployments.api.configuration import (
    FreezeShown,
    LockShown,
    RunningShown,
    SteeringShown,
)
from deployments.gateway.steering_words import time_of

UNDEPLOYED = {Stage.DRAFT, Stage.VALIDATING, Stage.APPROVED}
MOST_DRAFTS = 20


def shown_steering(state: SteeringState, running: Iterable[Running], now: float) -> SteeringShown:
    wanted = state.versions[state.active].content_hash
    reports = shown_running(state.active, wanted, running)
    behind = [each for each in reports if each.state == "behind"]
    kind, meaning = _state(state, behind, now)
    lock = state.lock_at(now)
    drafts = [number for number, life in state.versions.items() if life.stage in UNDEPLOYED]
    return SteeringShown(
        state=kind,
        meaning=meaning,
        active=state.active,
        config_hash=wanted,
        revision=state.revision,
        warm=list(state.warm),
        drafts=sorted(drafts, reverse=True)[:MOST_DRAFTS],
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


def shown_running(active: int, wanted: str, running: Iterable[Running]) -> list[RunningShown]:
    """Compare what each replica reported with the version that is active, and its hash."""
    return [
        RunningShown(
            replica=each.replica,
            role=each.role,
            version=each.version,
            config_hash=each.config_hash,
            age_s=each.age_s,
            state=_compared(each, wanted, active),
        )
        for each in running
    ]


def _compared(each: Running, wanted: str, active: int) -> Literal["same", "behind", "silent"]:
    if (each.version, each.config_hash) != (active, wanted):
        return "behind"
    return "silent" if each.silent else "same"


def _state(
    state: SteeringState, behind: list[RunningShown], now: float
) -> tuple[Literal["settled", "rollout", "emergency", "incomplete"], str]:
    """Name the state, and say in a sentence what it means and what to do."""
    active = f"Version {state.active} is in force"
    if state.emergency is not None:
        return "emergency", (
            f"{active}, but every family answers its fallback: emergency mode is on since "
            f"{time_of(state.emergency.since):%Y-%m-%d %H:%M:%S} UTC ({state.emergency.reason}). "
            "Find the cause; an admin ends it."
        )
    if state.rollout is not None:
        return "rollout", f"{active}. {rollout_in_words(state.rollout, now)}"
    if behind:
        names = ", ".join(f"{each.replica} ({each.version})" for each in behind[:5])
        return "incomplete", (
            f"{active}, and {len(behind)} replicas go by another one: {names}. They follow "
            "within seconds; where one does not, its log says why: `ballast config repair` has all "
            "of them load it anew."
        )
    return "settled", f"{active} on every replica that reports. Nothing has to be done."


def rollout_in_words(rollout: Rollout, now: float) -> str:
    """Say how far a rollout is, and who has to do what."""
    share = f"{100 * rollout.share_at(now):g} % of the keys"
    told = (
        f"The {rollout.strategy} rollout {rollout.id} of version {rollout.candidate} is at step "
        f"{rollout.step + 1} of {len(rollout.shares)} ({share}), its verdict is {rollout.verdict}"
    )
    left = rollout.step_deadline - now
    if left <= 0:
        return f"{told}. The step is past its deadline and is aborted at the next look."
    if needs_evidence(rollout):
        return f"{told}. It waits for evidence for another {left:.0f} s, and is aborted then."
    return (
        f"{told}. It may be advanced, POST /config/rollout/advance, within {left:.0f} s; then it "
        "is aborted."
    )
