"""How each source fares: told by the history's owner every few seconds, read by all gateways."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field, ValidationError
from redis.asyncio import Redis

from features.candidates.compared import Figure
from features.sources.source import Fault
from settings.frozen import Frozen
from settings.redis_names import redis_name

# The document is told anew every few seconds; one that is older says how things were.
STALE_SECONDS = 60.0

Kind = Literal[
    "prometheus",
    "clickhouse",
    "candles",
    "push",
    "remote_write",
    "logs",
    "posted_logs",
    "kafka",
    "demo",
]
BackfillState = Literal["queued", "running", "done", "failed", "cancelled"]
State = Literal["live", "waiting", "away", "refused", "held back", "paused", "demo"]


class ComplaintCount(Frozen):
    """How often one thing was wrong with a source's telemetry since the platform started."""

    fault: Fault
    count: int
    example: str


class Backfill(Frozen):
    """A stretch of a source's past that somebody has fetched anew; the newest of it comes first."""

    source: str
    state: BackfillState
    asked_at: float = Field(description="Epoch seconds.")
    since: int | None = Field(
        description="From when on, epoch seconds; null until the source was asked how far it goes."
    )
    until: int | None = Field(description="Up to when, epoch seconds; null until it begins.")
    reached: int | None = Field(
        None, description="All from here to `until` is fetched, epoch seconds."
    )
    share: float = Field(0.0, description="How much is fetched, 0 to 1.")
    rows: int = Field(0, description="Rows that were stored.")
    complaints: tuple[ComplaintCount, ...] = ()
    reason: str | None = Field(None, description="Why it failed, or why it found nothing.")
    ended_at: float | None = Field(None, description="Epoch seconds.")

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "failed", "cancelled"}


class HeldBack(Frozen):
    """A new version that does not take the place of the one in force."""

    id: str
    since: float = Field(description="When it was refused, or found to be new, epoch seconds.")
    why: str
    refused: bool = Field(description="Whether it was compared, and is out of bounds.")
    figures: tuple[Figure, ...] = Field((), description="What was compared.")


class SourceState(Frozen):
    """How one source fares."""

    name: str
    kind: Kind
    state: State = Field(
        description="live: its telemetry comes in; waiting: none came yet, or none lately; away: "
        "it does not answer; refused: it answers, and refuses what it is asked; held back: its "
        "telemetry comes in by the mapping before, since the configured one is not accepted; "
        "paused: by the configuration; demo: the simulator, while no source is connected."
    )
    why: str = Field("", description="What is known of the reason, where it is not live.")
    breaker: Literal["closed", "half open", "open"] | None = Field(
        None, description="Open while a source that failed is spared; null for one that pushes."
    )
    newest: int | None = Field(
        None, description="When the newest interval began that is stored, epoch seconds."
    )
    held_back: HeldBack | None = Field(
        None, description="A mapping that is configured and not followed, and why."
    )
    rows: int = Field(0, description="Rows that were stored since the platform started.")
    complaints: tuple[ComplaintCount, ...] = ()
    backfill_share: float | None = Field(
        None, description="How much of the past has been fetched, 0 to 1; null where none is."
    )
    backfill: Backfill | None = Field(
        None, description="The last stretch of its past that somebody had fetched anew."
    )


class Published(NamedTuple):
    """The states as they were last told, and when that was."""

    at: float
    states: tuple[SourceState, ...]


class _Document(BaseModel):
    format: Literal[1] = 1
    at: float
    states: tuple[SourceState, ...]


async def publish_states(redis: Redis, states: Sequence[SourceState], now: float) -> None:
    """Tell all gateways how the sources fare at this moment, epoch seconds."""
    document = _Document(at=now, states=tuple(states))
    await redis.set(_key(redis), document.model_dump_json())


async def read_states(redis: Redis) -> Published | None:
    """Read what was told last; None where nothing was, or nothing that this release can read."""
    found = await redis.get(_key(redis))
    if found is None:
        return None
    try:
        document = _Document.model_validate_json(found)
    except ValidationError:
        return None
    return Published(document.at, document.states)


def _key(redis: Redis) -> str:
    return redis_name(redis, "telemetry", "sources")
