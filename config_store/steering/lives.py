"""The life of a version up to its deploy: drafted, validated, approved by another."""

from collections.abc import Iterator

from config_store.errors import OvertakenError, RefusedChangeError
from config_store.steering.changes import (
    MOST_CHARACTERS,
    Changed,
    event,
    its_authors,
    life_of,
    listed,
    refuse_other_editor,
    with_fields,
    with_lives,
)
from config_store.steering.commands import Actor, Approve, Draft, SetSettings, Validate, Validated
from config_store.steering.drafts import refuse_too_many, refuse_withdrawn
from config_store.steering.next_step import Step, next_of
from config_store.steering.rollouts.margins import refuse_senseless
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import (
    UNDEPLOYED,
    Approval,
    Stage,
    SteeringState,
    VersionLife,
)
from settings.frozen import Frozen


def draft(state: SteeringState, command: Draft, by: Actor, now: float) -> Changed:
    refuse_other_editor(state, by, now)
    if command.number <= max(state.versions, default=0):
        raise RefusedChangeError(
            f"Version {command.number} was given out before: a new version has a number of its own."
        )
    refuse_too_many(state, by)
    life = VersionLife(
        number=command.number,
        content_hash=command.content_hash,
        author=by.name,
        message=command.message,
        parent=command.parent,
        created=now,
        stage=Stage.DRAFT,
        co_authors=_co_authors(state, command, by),
    )
    noted = event(
        "config_drafted",
        now,
        by,
        version=life.number,
        parent=command.parent,
        config_hash=life.content_hash,
        reason=life.message,
        **({"co_authors": ", ".join(life.co_authors)} if life.co_authors else {}),
    )
    return Changed(with_lives(state, life), (noted,))


def _co_authors(state: SteeringState, command: Draft, by: Actor) -> tuple[str, ...]:
    """Name who else wrote what comes into force with it.

    Of what it is drafted anew from, whatever became of that; of its parent where that was never in
    force, and so may have been approved by nobody.
    """
    parent = life_of(state, command.parent)
    written = [] if parent.stage in {Stage.ACTIVE, Stage.DEPRECATED} else [parent]
    if command.made_from is not None:
        written.append(life_of(state, command.made_from))
    names = dict.fromkeys(name for life in written for name in life.authors)
    return tuple(name for name in names if name != by.name)


def validate(state: SteeringState, command: Validate, _by: Actor, _now: float) -> Changed:
    life = _unserved(state, command.number)
    begun = _in_review(life, Stage.VALIDATING).model_copy(update={"checked": None, "refusal": ""})
    return Changed(with_lives(state, begun))


def validated(state: SteeringState, command: Validated, by: Actor, now: float) -> Changed:
    life = _unserved(state, command.number)
    _refuse_other_content(life, command.content_hash)
    refusal = command.refusal[:MOST_CHARACTERS]
    stage, checked = (Stage.DRAFT, None) if refusal else (Stage.VALIDATING, now)
    known = _in_review(life, stage).model_copy(
        update={
            "checked": checked,
            "refusal": refusal,
            "policy": command.policy,
            "against": command.against,
            "findings": command.findings,
        }
    )
    found = settled(known, state.settings)
    if refusal:
        noted = event("config_refused", now, by, version=life.number, reason=refusal)
    else:
        noted = event("config_validated", now, by, version=life.number)
    return Changed(with_lives(state, found), (noted,))


def approve(state: SteeringState, command: Approve, by: Actor, now: float) -> Changed:
    life = life_of(state, command.number)
    refuse_withdrawn(state, command.number)
    _refuse_other_content(life, command.content_hash)
    # Where no approval is needed an author still has to say that what was found was seen.
    if by.name in life.authors and (state.settings.approvals_needed or not life.findings):
        raise _own(life)
    if life.checked is None:
        raise RefusedChangeError(
            f"Version {life.number} has not passed validation"
            f"{f' ({life.refusal})' if life.refusal else ''}: validate it first."
        )
    _refuse_unnamed(life, command)
    if any(each.by == by.name and each.acknowledged == life.findings for each in life.approvals):
        return Changed(state)
    approval = Approval(
        by=by.name, at=now, content_hash=life.content_hash, acknowledged=life.findings
    )
    others = (each for each in life.approvals if each.by != by.name)
    approved = life.model_copy(update={"approvals": (*others, approval)})
    noted = event(
        "config_approved",
        now,
        by,
        version=life.number,
        config_hash=life.content_hash,
        **({"acknowledged": "; ".join(life.findings)} if life.findings else {}),
    )
    return Changed(with_lives(state, settled(approved, state.settings)), (noted,))


def settled(life: VersionLife, settings: SteeringSettings) -> VersionLife:
    """Put a version that waits for approval where the settings have it."""
    if life.stage not in {Stage.VALIDATING, Stage.APPROVED} or life.checked is None:
        return life
    is_ready = next_of(life, settings).step is Step.DEPLOY
    return life.model_copy(update={"stage": Stage.APPROVED if is_ready else Stage.VALIDATING})


def set_settings(state: SteeringState, command: SetSettings, by: Actor, now: float) -> Changed:
    if command.before not in {None, state.settings}:
        raise OvertakenError("Somebody else changed the settings meanwhile: look again.")
    if command.settings == state.settings:
        return Changed(state)
    if command.settings.rollout != state.settings.rollout:
        refuse_senseless(command.settings.rollout)
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


def _in_review(life: VersionLife, stage: Stage) -> VersionLife:
    """Put a version into the stage, unless it was active before: then that is its stage."""
    return life.model_copy(update={"stage": stage}) if life.stage in UNDEPLOYED else life


def _unserved(state: SteeringState, number: int) -> VersionLife:
    life = life_of(state, number)
    refuse_withdrawn(state, number)
    if life.stage in {Stage.ACTIVE, Stage.DEPLOYING}:
        raise RefusedChangeError(
            f"Version {number} is {life.stage}: what answers requests is not validated any more."
        )
    return life


def _own(life: VersionLife) -> RefusedChangeError:
    some, who = ("some of ", f" than {its_authors(life)}") if life.co_authors else ("", "")
    return RefusedChangeError(
        f"You wrote {some}version {life.number}: somebody else{who} approves it. On a platform "
        "with one key alone an admin sets approvals_needed to 0."
    )


def _refuse_unnamed(life: VersionLife, command: Approve) -> None:
    """Refuse an approval that passes over something that was found."""
    if missing := [each for each in life.findings if each not in command.acknowledged]:
        raise RefusedChangeError(
            f"In the safety policy of version {life.number} this was found, and has to be "
            f"acknowledged by name: {listed(missing)}. Have the policy checked to see an example "
            "of each, and approve it with those names, or draft one without them."
        )


def _refuse_other_content(life: VersionLife, content_hash: str) -> None:
    if content_hash != life.content_hash:
        raise RefusedChangeError(
            f"Version {life.number} has the hash {life.content_hash[:12]}, and you name "
            f"{content_hash[:12]}: read the version again."
        )
