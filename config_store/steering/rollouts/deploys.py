"""The begin of a rollout: what may be deployed, and when."""

from collections.abc import Iterator

from config_store.errors import RefusedChangeError
from config_store.steering.changes import (
    Changed,
    event,
    in_stage,
    its_authors,
    life_of,
    listed,
    refuse_emergency,
    refuse_frozen,
    refuse_other_editor,
    with_fields,
)
from config_store.steering.commands import Actor, Deploy
from config_store.steering.rollouts.margins import refuse_senseless, refuse_weakened, weakened
from config_store.steering.rollouts.shares import refuse_shares, shares_of
from config_store.steering.rollouts.steps import JUDGED
from config_store.steering.rollouts.switches import finish
from config_store.steering.state import Rollout, Stage, SteeringState, Strategy, VersionLife

DEPLOYABLE = {Stage.APPROVED, Stage.DEPRECATED, Stage.ROLLED_BACK}


def deploy(state: SteeringState, command: Deploy, by: Actor, now: float) -> Changed:
    if _is_known(state, command):
        return Changed(state)
    _refuse_deploy(state, command, by, now)
    rollout = _begun(state, command, by, now)
    begun = event(
        "rollout_begun",
        now,
        by,
        rollout=rollout.id,
        version=rollout.candidate,
        before=rollout.incumbent,
        strategy=rollout.strategy,
        reason=rollout.reason or state.versions[rollout.candidate].message,
        **({"weakened": "; ".join(rollout.weakened)} if rollout.weakened else {}),
    )
    state = with_fields(in_stage(state, rollout.candidate, Stage.DEPLOYING), rollout=rollout)
    if rollout.strategy is Strategy.BLUE_GREEN and rollout.shares[0] == 1.0:
        finished = finish(state, rollout, by, now)
        return Changed(finished.state, (begun, *finished.events))
    return Changed(state, (begun,))


def _is_known(state: SteeringState, command: Deploy) -> bool:
    """Tell whether this very command was carried out before; refuse another one of its id."""
    known = [each for each in (state.rollout, state.last_rollout) if each is not None]
    for rollout in known:
        if rollout.id == command.id:
            if rollout.candidate == command.number:
                return True
            raise RefusedChangeError(
                f"The rollout {command.id} was one of version {rollout.candidate}: give an id of "
                "its own to each."
            )
    return False


def _refuse_deploy(state: SteeringState, command: Deploy, by: Actor, now: float) -> None:
    if state.rollout is not None:
        raise RefusedChangeError(
            f"The rollout {state.rollout.id} of version {state.rollout.candidate} goes on: wait "
            "for its end, or abort it."
        )
    refuse_emergency(state)
    refuse_frozen(state, now)
    refuse_other_editor(state, by, now)
    if command.after != state.active:
        raise RefusedChangeError(
            f"Version {state.active} is active by now, and not {command.after}: look at what it "
            "changed before you deploy."
        )
    life = life_of(state, command.number)
    if life.checked is not None:
        _refuse_unseen(state, life)
    _refuse_stage(state, life)
    if not command.despite_branch and state.active not in ancestors(state, life.number):
        raise RefusedChangeError(
            f"Version {life.number} was not written on top of the active version {state.active}, "
            f"and lacks what that one changed: {_remedy(state, life.number)}"
        )


def _refuse_unseen(state: SteeringState, life: VersionLife) -> None:
    """Refuse a safety policy of which nobody who may has seen what was found."""
    if missing := life.unacknowledged(state.settings.approvals_needed):
        raise RefusedChangeError(
            f"In the safety policy of version {life.number} this was found, and nobody has "
            f"acknowledged it: {listed(missing)}. Have it approved with those names."
        )
    in_force = state.versions[state.active].policy
    if in_force and in_force not in {life.policy, life.against}:
        raise RefusedChangeError(
            f"The safety policy of version {life.number} was not compared with the one that is in "
            "force by now, so nobody knows what it lets through: validate it again."
        )


def _refuse_stage(state: SteeringState, life: VersionLife) -> None:
    if life.stage not in DEPLOYABLE:
        raise RefusedChangeError(
            f"Version {life.number} is {life.stage}{f' ({life.refusal})' if life.refusal else ''}: "
            "only a version that is validated, approved and not active can be deployed."
        )
    if life.checked is None:
        raise RefusedChangeError(
            f"Version {life.number} has not passed validation"
            f"{f' ({life.refusal})' if life.refusal else ''}: validate it first."
        )
    needed, found = state.settings.approvals_needed, len(life.approved_by)
    if found < needed:
        raise RefusedChangeError(
            f"Version {life.number} has {found} of {needed} approvals: have others than "
            f"{its_authors(life)} approve it."
        )


def ancestors(state: SteeringState, number: int) -> Iterator[int]:
    """Give the parent of a version, its parent, and so on as far as the state knows them."""
    life = state.versions.get(number)
    while life is not None and life.parent is not None:
        yield life.parent
        life = state.versions.get(life.parent)


def _remedy(state: SteeringState, number: int) -> str:
    """Say what to do about a version that lacks what the active one changed."""
    if number in ancestors(state, state.active):
        return "to go back to it, deploy it despite that."
    path = f"POST /config/versions/{number}/rebase"
    return f"{path} drafts it anew on top of that, or deploy it despite that."


def parting(state: SteeringState, number: int) -> int:
    """Give the version on top of which both this one and the active one were written last."""
    life_of(state, number)
    mine, active = list(ancestors(state, number)), state.active
    theirs = {active, *ancestors(state, active)}
    if number in theirs or active in mine:
        raise RefusedChangeError(
            f"Version {number} and the active version {active} were written one on top of the "
            "other: there is nothing to draft anew."
        )
    for each in mine:
        if each in theirs:
            return each
    raise RefusedChangeError(
        f"It is not known any more on top of what both version {number} and the active version "
        f"{active} were written: draft anew what is still wanted."
    )


def _begun(state: SteeringState, command: Deploy, by: Actor, now: float) -> Rollout:
    settings = command.settings or state.settings.rollout
    shares = command.shares
    if shares is None:
        shares = shares_of(command.strategy, command.replicas)
    refuse_shares(command.strategy, shares)
    weaker = _weaker(state, command, by)
    begins = now + settings.lead_seconds
    return Rollout(
        id=command.id,
        strategy=command.strategy,
        candidate=command.number,
        incumbent=state.active,
        shares=shares,
        step=0,
        begun=now,
        step_begun=begins,
        step_deadline=begins + settings.step_seconds,
        ends=now + settings.rollout_seconds,
        settings=settings,
        by=by.name,
        reason=command.reason,
        weakened=weaker,
    )


def _weaker(state: SteeringState, command: Deploy, by: Actor) -> tuple[str, ...]:
    """Say by how much less than usual it is judged, or refuse that; at once means not judged."""
    if command.settings is None or command.strategy not in JUDGED:
        return ()
    refuse_senseless(command.settings)
    weaker = weakened(command.settings, state.settings.rollout)
    refuse_weakened(weaker, by)
    return weaker
