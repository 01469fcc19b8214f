"""Says in words where the platform stands, and what to do next."""

from config_store.steering.changes import joined, listed
from config_store.steering.next_step import Step, next_of
from config_store.steering.rollouts.steps import needs_evidence
from config_store.steering.state import (
    UNDEPLOYED,
    Outcome,
    Rollout,
    Stage,
    SteeringState,
    Verdict,
    VersionLife,
)

# Older drafts are history, and need nobody.
LATEST = 5


def describe(state: SteeringState, now: float) -> tuple[str, ...]:
    """Give sentences: what is in force, what goes on, and what waits for whom."""
    life = state.versions[state.active]
    warm = ", ".join(map(str, state.warm)) or "none"
    active = f"Version {life.number} by {joined(life.authors)} is active ({life.message})."
    return (
        *(f"The state is not a legal one: {each}." for each in problems(state)),
        f"{active} Warm are: {warm}.",
        *_interventions(state, now),
        *(_rollout(state.rollout, now) if state.rollout is not None else ()),
        *_weakly_judged(state),
        *(
            _waiting(state, life)
            for life in sorted(state.versions.values(), key=_newest_first)[:LATEST]
            if life.stage in UNDEPLOYED
        ),
    )


def problems(state: SteeringState) -> tuple[str, ...]:
    """Name what no sequence of commands leads to; nothing in a legal state."""
    active = sorted(n for n, life in state.versions.items() if life.stage is Stage.ACTIVE)
    deploying = sorted(n for n, life in state.versions.items() if life.stage is Stage.DEPLOYING)
    candidates = [] if state.rollout is None else [state.rollout.candidate]
    named = {state.active, *state.warm, *candidates}
    checks = {
        f"version {state.active} is active, and these have the stage: {active}": active
        == [state.active],
        f"the candidates are {candidates}, and these have the stage: {deploying}": deploying
        == candidates,
        f"the active version is among the warm: {state.warm}": state.active not in state.warm,
        f"a version is warm twice: {state.warm}": len(set(state.warm)) == len(state.warm),
        f"there are no lives of {sorted(named - state.versions.keys())}": named
        <= state.versions.keys(),
        "the rollout's incumbent is not the active version": state.rollout is None
        or state.rollout.incumbent == state.active,
    }
    return tuple(words for words, holds in checks.items() if not holds)


def _newest_first(life: VersionLife) -> int:
    return -life.number


def _interventions(state: SteeringState, now: float) -> tuple[str, ...]:
    lock, freezes, overrides = state.lock_at(now), state.freezes_at(now), state.overrides_at(now)
    found = []
    if state.emergency is not None:
        found.append(
            f"Emergency mode is on since {_ago(state.emergency.since, now)} "
            f"({state.emergency.reason}): every family answers its fallback until an admin ends it."
        )
    if overrides:
        found.append(
            f"{len(overrides)} overrides hold: {', '.join(each.id for each in overrides)}."
        )
    found += [
        f"The freeze {each.id} ({each.reason}) holds for {_span(each.ends - now)}: nothing is "
        "deployed or advanced."
        for each in freezes
    ]
    if lock is not None:
        found.append(f"{lock.by} has the lock for {_span(lock.expires - now)} ({lock.reason}).")
    return tuple(found)


def _rollout(rollout: Rollout, now: float) -> tuple[str, ...]:
    where = (
        f"The {rollout.strategy} rollout {rollout.id} of version {rollout.candidate} is at step "
        f"{rollout.step + 1} of {len(rollout.shares)}, {rollout.share_at(now):.2%} of the keys; "
        f"the verdict is {rollout.verdict}{f' ({rollout.note})' if rollout.note else ''}."
    )
    left = rollout.step_deadline - now
    if left <= 0:
        return (where, "Its deadline is over: it will be aborted.")
    if needs_evidence(rollout) and rollout.verdict is not Verdict.GOOD:
        return (where, f"It advances on the verdict good, or is aborted in {_span(left)}.")
    return (where, f"Advance it, or it is aborted in {_span(left)}.")


def _weakly_judged(state: SteeringState) -> tuple[str, ...]:
    """Say of the rollout that goes on, and of the one by which this version came, what was less."""
    found = []
    if (rollout := state.rollout) is not None and rollout.weakened:
        found.append(
            f"The rollout {rollout.id} is judged by less than usual, as {rollout.by} stated: "
            f"{'; '.join(rollout.weakened)}."
        )
    last = state.last_rollout
    came_by_it = last is not None and last.outcome is Outcome.FINISHED
    if last is not None and came_by_it and last.candidate == state.active and last.weakened:
        found.append(
            f"Version {state.active} came into force by less evidence than usual, as {last.by} "
            f"stated: {'; '.join(last.weakened)}."
        )
    return tuple(found)


def _waiting(state: SteeringState, life: VersionLife) -> str:
    named = f"Version {life.number} by {joined(life.authors)} ({life.message})"
    step, missing, unseen = next_of(life, state.settings)
    if step is Step.CORRECT:
        return f"{named} failed validation ({life.refusal}): draft another, or validate it again."
    if step is Step.VALIDATE:
        return f"{named} is not validated: validate it."
    if unseen:
        return (
            f"{named} waits for an approver who acknowledges what was found in its safety policy: "
            f"{listed(unseen)}."
        )
    if step is Step.APPROVE:
        who = "authors" if life.co_authors else "author"
        return f"{named} waits for {missing} more approvals by others than its {who}."
    return f"{named} is approved: deploy it."


def _ago(since: float, now: float) -> str:
    return f"{_span(now - since)} ago"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
