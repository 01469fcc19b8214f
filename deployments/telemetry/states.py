"""How each source fares, as gateways show it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from config_store.sources import SourceConfig
from deployments.telemetry.consumed import ConsumedSource
from deployments.telemetry.followed import Followed
from deployments.telemetry.running import RunningSources
from features.sources.simulator.source import DEMO
from features.sources.source import Complaint
from features.telemetry.source_states import ComplaintCount, HeldBack, SourceState, State

# As many cadences without a row, and who posts them seems to have stopped.
QUIET_INTERVALS = 3
_PATHS = {"remote_write": "/api/v1/write", "posted_logs": "/telemetry/logs"}


class Received(Protocol):
    """What came in by a source that others send to."""

    @property
    def rows(self) -> int: ...

    @property
    def newest(self) -> int | None: ...

    @property
    def complaints(self) -> tuple[Complaint, ...]: ...


def states_of(
    running: RunningSources,
    named: Mapping[str, SourceConfig],
    posted: Mapping[str, Received],
    held_back: Callable[[str], HeldBack | None],
    now: float,
) -> list[SourceState]:
    """Describe every source by its name: those of the configuration, and the demo."""
    found = [
        *(
            _state_of_followed(name, each.config, each.followed, held_back(name))
            for name, each in running.following.items()
        ),
        *(
            _state_of_posted(name, each, posted.get(name), now)
            for name, each in named.items()
            if each.kind == "push" and not each.paused
        ),
        *(
            _state_of_posted(name, each.config, each.written, now)
            for name, each in running.receiving.items()
        ),
        *(
            state_of_consumed(name, each.config, each.consumed, now)
            for name, each in running.consuming.items()
        ),
        *_paused(named),
    ]
    return sorted(found, key=lambda each: each.name)


def _state_of_followed(
    name: str, config: SourceConfig | None, followed: Followed, held_back: HeldBack | None = None
) -> SourceState:
    """Describe a source that is asked; without a configuration it is the demo."""
    stretch = followed.stretch
    state = _followed_state(config, followed)
    why = followed.trouble
    if held_back is not None and state in ("live", "waiting"):
        state, why = "held back", held_back.why
    elif state == "waiting" and not why and followed.attempted:
        why = "No row has come since the platform started"
    return SourceState(
        name=name,
        kind=DEMO if config is None else config.kind,
        state=state,
        why=why,
        held_back=held_back,
        breaker=followed.breaker.state,
        newest=None if stretch is None else stretch.newest,
        rows=followed.rows,
        complaints=_counts(followed.complaints),
        backfill_share=followed.past_share,
    )


def _state_of_posted(
    name: str, config: SourceConfig, posted: Received | None, now: float
) -> SourceState:
    """Describe a source that others send to."""
    newest = None if posted is None else posted.newest
    quiet = newest is None or now - newest > (QUIET_INTERVALS + 1) * config.cadence_seconds
    path = _PATHS.get(config.kind, "/telemetry")
    why = "" if not quiet else f"Nothing was sent to {path}?source={name} lately"
    return SourceState(
        name=name,
        kind=config.kind,
        state="waiting" if quiet else "live",
        why=why,
        newest=newest,
        rows=0 if posted is None else posted.rows,
        complaints=() if posted is None else _counts(posted.complaints),
    )


def state_of_consumed(
    name: str, config: SourceConfig, consumed: ConsumedSource, now: float
) -> SourceState:
    """Describe a source whose messages are read."""
    newest = consumed.newest
    quiet = newest is None or now - newest > (QUIET_INTERVALS + 1) * config.cadence_seconds
    state: State = "waiting" if quiet else "live"
    if consumed.trouble:
        state = "refused" if consumed.refused else "away"
    why = consumed.trouble or ("No message with a row of late came lately" if quiet else "")
    return SourceState(
        name=name,
        kind=config.kind,
        state=state,
        why=why,
        breaker=consumed.breaker.state,
        newest=newest,
        rows=consumed.rows,
        complaints=_counts(consumed.complaints),
    )


def _paused(named: Mapping[str, SourceConfig]) -> list[SourceState]:
    return [
        SourceState(name=name, kind=each.kind, state="paused", why="Its configuration says so")
        for name, each in named.items()
        if each.paused
    ]


def _followed_state(config: SourceConfig | None, followed: Followed) -> State:
    if config is None:
        return "demo"
    if followed.refused:
        return "refused"
    if followed.trouble:
        return "away"
    return "live" if followed.rows else "waiting"


def _counts(complaints: tuple[Complaint, ...]) -> tuple[ComplaintCount, ...]:
    return tuple(
        ComplaintCount(fault=each.fault, count=each.count, example=each.example)
        for each in complaints
    )
