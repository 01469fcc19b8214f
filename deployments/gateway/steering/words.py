"""What steering says, as the API says it: refusals with their status, and lives in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from access.keys import Principal
from config_store.errors import (
    ChangedBehindError,
    ConfigError,
    LostRaceError,
    NoActiveVersionError,
    NotPermittedError,
    RefusedChangeError,
    TooManyDraftsError,
    UnknownCertificateError,
    UnknownOverrideError,
    UnknownVersionError,
    WithdrawnVersionError,
)
from config_store.steering.changes import its_authors, listed
from config_store.steering.commands import Actor
from config_store.steering.next_step import Step, next_of
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, VersionLife
from deployments.api.config_versions import ApprovalShown, LifeShown
from deployments.api.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from deployments.api.front_ids import front_id
from settings.redis_connection import REDIS_AWAY

_AFTER = {
    Stage.DEPLOYING: "It is on its way into force: GET /config/rollout shows how far",
    Stage.ACTIVE: "It is in force",
    Stage.DEPRECATED: "It was in force, and can be deployed again",
    Stage.ROLLED_BACK: "It was given up; it can be deployed again",
    Stage.WITHDRAWN: "It was withdrawn: draft it anew if it is needed",
}


def actor_of(principal: Principal) -> Actor:
    """Name who asks, and by which request, where the front gave it an id."""
    return Actor(principal.key_id, principal.role, front_id.get())


@contextmanager
def refusals() -> Iterator[None]:
    """Answer what steering or Redis refuses with its status, in its own words."""
    try:
        yield
    except NotPermittedError as refusal:
        raise ForbiddenError(str(refusal)) from refusal
    except UnknownVersionError as unknown:
        why = f"{unknown} GET /config/versions lists those that exist"
        raise NotFoundError(why) from unknown
    except (UnknownCertificateError, UnknownOverrideError, WithdrawnVersionError) as unknown:
        raise NotFoundError(str(unknown)) from unknown
    except (LostRaceError, NoActiveVersionError) as away:
        raise UnavailableError(str(away)) from away
    except TooManyDraftsError as full:
        raise QuotaError(str(full)) from full
    except (RefusedChangeError, ChangedBehindError, ConfigError) as refusal:
        raise ConflictError(str(refusal)) from refusal
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the versions and what people put over them, cannot be reached: a "
            "change may have been made or not. Look at GET /config/steering, and try again"
        ) from away


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def describe_life(life: VersionLife, settings: SteeringSettings) -> LifeShown:
    return LifeShown(
        parent=life.parent,
        co_authors=list(life.co_authors),
        stage=life.stage,
        checked=None if life.checked is None else time_of(life.checked),
        refusal=life.refusal,
        approvals=describe_approvals(life),
        findings=list(life.findings),
        approvals_needed=settings.approvals_needed,
        next=what_next(life, settings),
    )


def describe_approvals(life: VersionLife) -> list[ApprovalShown]:
    return [
        ApprovalShown(
            by=each.by,
            time=time_of(each.at),
            config_hash=each.content_hash,
            acknowledged=list(each.acknowledged),
        )
        for each in life.approvals
    ]


def what_next(life: VersionLife, settings: SteeringSettings) -> str:
    """Say what has to be done before a version can come into force."""
    if (said := _AFTER.get(life.stage)) is not None:
        return said
    if life.stage is Stage.APPROVED:
        return f"Deploy it: POST /config/deploy with version {life.number}"
    step, _, unseen = next_of(life, settings)
    if step is Step.CORRECT:
        return f"Draft a corrected one: {life.refusal}"
    if step is Step.VALIDATE:
        return f"Have it validated: POST /config/versions/{life.number}/validate"
    found, needed = len(life.approved_by), settings.approvals_needed
    path = f"POST /config/versions/{life.number}/approve"
    if step is Step.ACKNOWLEDGE:
        who = "an approver" if needed else "an approver, who may be its author,"
        return (
            f"Something was found in its safety policy: {who} acknowledges it by name, {path} "
            f"with {listed(unseen)}"
        )
    return (
        f"It has {found} of {needed} approvals: somebody else than {its_authors(life)} reads it "
        f"and approves it, {path}{f' with {listed(unseen)}' if unseen else ''}"
    )
