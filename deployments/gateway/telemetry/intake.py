"""What every intake of telemetry does: finds the source, reads the body in turns, queues it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

from access.keys import Principal
from config_store.sources import PostedLogsSource, RemoteWriteSource, SourcesConfig
from deployments.api.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OverloadedError,
    UnavailableError,
)
from features.errors import IntakeFullError
from settings.redis_connection import REDIS_AWAY

# Of all rests while a body is read. Whoever sends telemetry is in less of a hurry than who asks.
MOST_REST_SECONDS = 5.0
_PAUSED_SECONDS = 60

SourceT = TypeVar("SourceT", PostedLogsSource, RemoteWriteSource)


class SourceKind(NamedTuple, Generic[SourceT]):
    """A kind of source that others send to: its configuration, its name, and what to say of it."""

    config: type[SourceT]
    name: str
    path: str
    how_to_connect: str


def find_source(
    sources: SourcesConfig, kind: SourceKind[SourceT], name: str | None
) -> tuple[str, SourceT]:
    """Find the source that was sent to: the one that is named, or the only one of its kind."""
    found = {key: each for key, each in sources.named.items() if isinstance(each, kind.config)}
    others = ", ".join(sorted(found))
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name is None:
        raise ConflictError(
            f"There are several sources of the kind {kind.name}: name one, as in "
            f"{kind.path}?source={min(found)}; they are: {others}"
            if found
            else f"No source of the kind {kind.name} is configured: {kind.how_to_connect}"
        )
    source = found.get(name)
    if source is None:
        raise NotFoundError(
            f"There is no source {name!r} of the kind {kind.name}; there are: {others or 'none'}. "
            f"{kind.how_to_connect[0].upper()}{kind.how_to_connect[1:]}"
        )
    if source.paused:
        # The sender keeps what it could not send, for a while.
        raise UnavailableError(f"The source {name!r} is paused", retry_after_s=_PAUSED_SECONDS)
    return name, source


def check_key(name: str, keys: Sequence[str], principal: Principal) -> None:
    """Refuse a key that a source does not list; where it lists none, the role is enough."""
    if keys and principal.key_id not in keys:
        raise ForbiddenError(
            f"The key {principal.key_id} may not write to the source {name!r}: use one of its "
            f"own, or add this one to `keys` of sources.named.{name} in the configuration"
        )


@contextmanager
def queueing(what: str, send_again: str) -> Iterator[None]:
    """Put them where they survive; a refusal says that none of them was taken."""
    try:
        yield
    except IntakeFullError as full:
        raise OverloadedError(str(full), retry_after_s=full.retry_after_s) from full
    except REDIS_AWAY as away:
        raise UnavailableError(
            f"Redis, which holds {what} until they are stored, cannot be reached: {send_again}"
        ) from away
