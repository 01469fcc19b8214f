"""The life of a version up to its deploy: drafted, validated, approved by another."""

from collections.abc import Iterator

from config_store.errors import RefusedChangeError
from config_store.steering.changes import (
    MOST_CHARACTERS,
    Changed,
    event,
    life_of,
    refuse_other_editor,
    with_fields,
    with_lives,
)
from config_store.steering.commands import Actor, Approve, Draft, SetSettings, Validate, Validated
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Approval, Stage, SteeringState, VersionLife
from settings.frozen import Frozen

# Before a version was ever deployed; afterwards its stage says what became of it.
BEFORE_DEPLOY = {Stage.DRAFT, Stage.VALIDATING, Stage.APPROVED}


def draft(state: SteeringState, command: Draft, by: Actor, now: float) -> Changed:
    refuse_other_editor(state, by, now)
    if command.number <= max(state.versions, default=0):
        raise RefusedChangeError(
            f"Version {command.number} was given out before: a new version has a number of its own."
        )
    life_of(state, command.parent)
    life = VersionLife(
        number=command.number,
        content_hash=command.content_hash,
        author=by.name,
        message=command.message,
        parent=command.parent,
        created=now,
        stage=Stage.DRAFT,
    )
    noted = event(
        "config_drafted",
        now,
        by,
        version=life.number,
        parent=command.parent,
        config_hash=life.content_hash,
        reason=life.message,
    )
    return Changed(with_lives(state, life), (noted,))


def validate(state: SteeringState, command: Validate, _by: Actor, _now: float) -> Changed:
    life = _unserved(state, command.number)
    begun = _in_review(life, Stage.VALIDATING).model_copy(update={"checked": None, "refusal": ""})
    return Changed(with_lives(state, begun))


def validated(state: SteeringState, command: Validated, by: Actor, now: float) -> Changed:
    life = _unserved(state, command.number)
    _refuse_other_content(life, command.content_hash)
    refusal = command.refusal[:MOST_CHARACTERS]
    stage, checked = (Stage.DRAFT, None) if refusal else (Stage.VALIDATING, now)
    known = _in_review(life, stage).model_copy(update={"checked": checked, "refusal": refusal})
    found = settled(known, state.settings)
    if refusal:
        noted = event("config_refused", now, by, version=life.number, reason=refusal)
    else:
        noted = event("config_validated", now, by, version=life.number)
    return Changed(with_lives(state, found), (noted,))


def approve(state: SteeringState, command: Approve, by: Actor, now: float) -> Changed:
    life = life_of(state, command.number)
    _refuse_other_content(life, command.content_hash)
    if life.author == by.name:
        raise RefusedChangeError(
            f"You wrote version {life.number}: somebody else approves it. On a platform with one "
            "key alone an admin sets approvals_needed to 0."
        )
    if life.checked is None:
        raise RefusedChangeError(
            f"Version {life.number} has not passed validation"
            f"{f' ({life.refusal})' if life.refusal else ''}: validate it first."
        )
    if by.name in life.approved_by:
        return Changed(state)
    approval = Approval(by=by.name, at=now, content_hash=life.content_hash)
    approved = life.model_copy(update={"approvals": (*life.approvals, approval)})
    noted = event("config_approved", now, by, version=life.number, config_hash=life.content_hash)
    return Changed(with_lives(state, settled(approved, state.settings)), (noted,))


def settled(life: VersionLife, settings: SteeringSettings) -> VersionLife:
    """Put a version that waits for approval where the settings have it."""
    if life.stage not in {Stage.VALIDATING, Stage.APPROVED} or life.checked is None:
        return life
    enough = len(life.approved_by) >= settings.approvals_needed
    return life.model_copy(update={"stage": Stage.APPROVED if enough else Stage.VALIDATING})


def set_settings(state: SteeringState, command: SetSettings, by: Actor, now: float) -> Changed:
    if command.settings == state.settings:
        return Changed(state)
    lives = {number: settled(life, command.settings) for number, life in state.versions.items()}
    noted = event(
        "steering_settings",
        now,
        by,
        approvals_needed=command.settings.approvals_needed,
        warm=command.settings.warm,
        changed=", ".join(_changed(state.settings, command.settings)),
    )
    warm = state.warm[: command.settings.warm]
    state = with_fields(state, settings=command.settings, versions=lives, warm=warm)
    return Changed(state, (noted,))


def _changed(before: SteeringSettings, after: SteeringSettings) -> Iterator[str]:
    """Name what is set anew, each by its value: who reads the timeline sees what was loosened."""
    for name in SteeringSettings.model_fields:
        if getattr(before, name) != (value := getattr(after, name)):
            text = value.model_dump_json() if isinstance(value, Frozen) else str(value)
            yield f"{name} {text}"[:MOST_CHARACTERS]


def pruned(state: SteeringState) -> SteeringState:
    """Keep the lives of the newest versions, and of those that serve or may be rolled back to."""
    if len(state.versions) <= state.settings.versions_kept:
        return state
    needed = {state.active, *state.warm}
    if state.rollout is not None:
        needed.add(state.rollout.candidate)
    newest = sorted(state.versions, reverse=True)[: state.settings.versions_kept]
    kept = needed.union(newest)
    lives = {number: life for number, life in state.versions.items() if number in kept}
    return with_fields(state, versions=lives)


def _in_review(life: VersionLife, stage: Stage) -> VersionLife:
    """Put a version into the stage, unless it was active before: then that is its stage."""
    return life.model_copy(update={"stage": stage}) if life.stage in BEFORE_DEPLOY else life


def _unserved(state: SteeringState, number: int) -> VersionLife:
    life = life_of(state, number)
    if life.stage in {Stage.ACTIVE, Stage.DEPLOYING}:
        raise RefusedChangeError(
            f"Version {number} is {life.stage}: what answers requests is not validated any more."
        )
    return life


def _refuse_other_content(life: VersionLife, content_hash: str) -> None:
    if content_hash != life.content_hash:
        raise RefusedChangeError(
            f"Version {life.number} has the hash {life.content_hash[:12]}, and you name "
            f"{content_hash[:12]}: read the version again."
        )
