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
    UnknownCertificateError,
    UnknownVersionError,
)
from config_store.steering.commands import Actor
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, VersionLife
from deployments.api.configuration import ApprovalShown, LifeShown
from deployments.api.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
)
from settings.redis_connection import REDIS_AWAY

_AFTER = {
    Stage.APPROVED: "Deploy it: POST /config/deploy",
    Stage.DEPLOYING: "It is on its way into force: GET /config/rollout shows how far",
    Stage.ACTIVE: "It is in force",
    Stage.DEPRECATED: "It was in force, and can be deployed again",
    Stage.ROLLED_BACK: "It was given up; it can be deployed again",
}


def actor_of(principal: Principal) -> Actor:
    return Actor(principal.key_id, principal.role)


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
    except UnknownCertificateError as unknown:
        raise NotFoundError(str(unknown)) from unknown
    except (LostRaceError, NoActiveVersionError) as away:
        raise UnavailableError(str(away)) from away
    except (RefusedChangeError, ChangedBehindError, ConfigError) as refusal:
        raise ConflictError(str(refusal)) from refusal
    except REDIS_AWAY as away:
        raise UnavailableError(
            "Redis, which holds the versions, cannot be reached: a change may have been made or "
            "not. Look at GET /config/steering, and try again"
        ) from away


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def shown_life(life: VersionLife, settings: SteeringSettings) -> LifeShown:
    return LifeShown(
        parent=life.parent,
        stage=life.stage,
        checked=None if life.checked is None else time_of(life.checked),
        refusal=life.refusal,
        approvals=[
            ApprovalShown(by=each.by, time=time_of(each.at), config_hash=each.content_hash)
            for each in life.approvals
        ],
        approvals_needed=settings.approvals_needed,
        next=what_next(life, settings),
    )


def what_next(life: VersionLife, settings: SteeringSettings) -> str:
    """Say what has to be done before a version can come into force."""
    if (said := _AFTER.get(life.stage)) is not None:
        return said
    if life.refusal:
        return f"Draft a corrected one: {life.refusal}"
    if life.checked is None:
        return f"Have it validated: POST /config/versions/{life.number}/validate"
    found, needed = len(life.approved_by), settings.approvals_needed
    return (
        f"It has {found} of {needed} approvals: somebody else than its author {life.author} reads "
        f"it and approves it, POST /config/versions/{life.number}/approve"
    )
