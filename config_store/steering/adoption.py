"""Brings in what steering did not write: an older installation, or a version activated past it.

Every reader computes the same state of the same stored things, so nothing has to be written for a
reader's sake; the next change stores it. What it finds it keeps whole: the next change lets old
lives go, and files them.
"""

from config_store.errors import NoActiveVersionError
from config_store.steering.changes import with_fields
from config_store.steering.headers import Header
from config_store.steering.state import Outcome, Stage, SteeringState, VersionLife


def found_state(headers: tuple[Header, ...], active: int | None) -> SteeringState:
    """Make the first state of an installation that knew no steering.

    Which versions were active there is unknown, but most were: each was activated as it was
    published. The ones just before the active one count as warm.
    """
    by_number = {each.number: each for each in headers}
    if active is None or active not in by_number:
        raise NoActiveVersionError
    lives = {each.number: _life(each, active) for each in headers}
    older = sorted(
        (n for n, life in lives.items() if n < active and life.stage is not Stage.WITHDRAWN),
        reverse=True,
    )
    state = SteeringState(
        revision=1, changed=by_number[active].created, active=active, versions=lives
    )
    return with_fields(state, warm=tuple(older[: state.settings.warm]))


def adopt(state: SteeringState, headers: tuple[Header, ...], active: int) -> SteeringState:
    """Take in versions that were published past steering, and the one that was activated so."""
    lives = {
        each.number: _life(each, None) for each in headers if each.number not in state.versions
    }
    if not lives and active == state.active:
        return state
    state = with_fields(state, versions=state.versions | lives, revision=state.revision + 1)
    if active != state.active and active in state.versions:
        state = _switched_past(state, active)
    return state


def life_of_older(header: Header) -> VersionLife:
    """Give the life of a version from before those that were taken over."""
    return _life(header, header.number + 1)


def _switched_past(state: SteeringState, active: int) -> SteeringState:
    lives, rollout = dict(state.versions), state.rollout
    if rollout is not None:
        lives[rollout.candidate] = lives[rollout.candidate].model_copy(
            update={"stage": Stage.ROLLED_BACK, "interrupted": True}
        )
        closed = rollout.model_copy(
            update={
                "outcome": Outcome.ABORTED,
                "ended": state.changed,
                "note": f"version {active} was activated past steering",
            }
        )
        state = with_fields(state, rollout=None, last_rollout=closed)
    lives[state.active] = _in(lives[state.active], Stage.DEPRECATED)
    lives[active] = _in(lives[active], Stage.ACTIVE)
    warm = (state.active, *(each for each in state.warm if each != active))
    return with_fields(state, active=active, warm=warm[: state.settings.warm], versions=lives)


def _in(life: VersionLife, stage: Stage) -> VersionLife:
    return life.model_copy(update={"stage": stage, "adopted": False})


def _life(header: Header, active: int | None) -> VersionLife:
    """Give the life of one of an older installation's, or a draft where none is active."""
    stage = Stage.DRAFT
    if active is not None and header.number <= active:
        stage = Stage.ACTIVE if header.number == active else Stage.DEPRECATED
    if header.withdrawn and stage is not Stage.ACTIVE:
        stage = Stage.WITHDRAWN
    served = stage in {Stage.ACTIVE, Stage.DEPRECATED}
    return VersionLife(
        number=header.number,
        content_hash=header.content_hash,
        author=header.author,
        message=header.message,
        parent=header.number - 1 or None,
        created=header.created,
        stage=stage,
        checked=header.created if served else None,
        adopted=not served,
        co_authors=header.co_authors,
    )
