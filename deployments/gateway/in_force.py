"""Tells what was in force at a time, and who let it in.

Steering keeps a journal of its changes in Redis. What it did not write, an older release's or a
version that was activated past it, is told by the timeline: the newest events in Redis' stream, the
older ones in the archive.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from redis.asyncio import Redis

from config_store.errors import ConfigError, RefusedChangeError
from config_store.releases import Release, release_of
from config_store.steering.in_force import InForce
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from deployments.api.configuration import ApprovalShown, AtShown, LetIn
from deployments.api.errors import NotFoundError
from deployments.gateway.steering_words import time_of
from deployments.history.client import HistoryAwayError, ask
from deployments.history.questions import Questions
from observability.timeline.event import Event, read_event
from observability.timeline.stream import MOST, TimelineStream

ACTIVATED: Final = "config_activated"
# Events have whole milliseconds, the journal has all digits.
ONE_MILLISECOND = timedelta(milliseconds=1)
SAME_CHANGE_SECONDS = 0.002


async def in_force_at(redis: Redis, configs: ConfigStore, time: datetime, now: float) -> AtShown:
    """Give it; NotFoundError where nothing was, HistoryAwayError where only the archive knows."""
    at = min(time, datetime.fromtimestamp(now, UTC))
    steering = SteeringStore(redis)
    entry = await steering.in_force(at.timestamp())
    # In this order: what is moved into the archive meanwhile is found there.
    events = await _in_stream(redis, at)
    away: HistoryAwayError | None = None
    try:
        events += await _in_archive(at)
    except HistoryAwayError as error:
        away = error
    event = max(events, key=lambda each: each.time, default=None)
    if entry is None and event is None:
        if away is not None:
            raise away
        raise NotFoundError(
            f"No configuration was in force at {at.isoformat()}, as far as the timeline goes: give "
            "a later time"
        )
    return await _shown(at, entry, event, steering, configs, complete=away is None)


async def _in_stream(redis: Redis, at: datetime) -> list[Event]:
    found = [_event(each.data) for each in await TimelineStream(redis).read(MOST)]
    return [
        each
        for each in found
        if each is not None
        and each.kind == ACTIVATED
        and time_of(each.time) <= at + ONE_MILLISECOND
    ]


async def _in_archive(at: datetime) -> list[Event]:
    # The archive cuts `until` to whole milliseconds, and leaves out what is at it.
    page = await ask(Questions.timeline, 1, until=at + 2 * ONE_MILLISECOND, kinds=[ACTIVATED])
    return [
        Event(ACTIVATED, each["time"].timestamp(), details=each["details"]) for each in page.events
    ]


def _event(data: bytes) -> Event | None:
    try:
        return read_event(data)
    except ValueError:  # of another release
        return None


async def _shown(
    at: datetime,
    entry: InForce | None,
    event: Event | None,
    steering: SteeringStore,
    configs: ConfigStore,
    *,
    complete: bool,
) -> AtShown:
    past_steering = event is not None and (
        entry is None or event.time > entry.at + SAME_CHANGE_SECONDS
    )
    if event is not None and past_steering:
        version, config_hash = int(_text(event, "version")), _text(event, "config_hash")
    else:
        assert entry is not None  # noqa: S101 - one of both is there
        version, config_hash = entry.active, entry.content_hash
    told = event if event is not None and _text(event, "version") == str(version) else None
    approvals = await _approvals(steering, version, config_hash, at)
    return AtShown(
        time=at,
        version=version,
        config_hash=config_hash,
        before=int(_text(told, "before") or 0),
        let_in=await _let_in(told, entry, version, configs, approvals),
        rollout="" if past_steering else _rollout(entry, at),
        emergency="" if entry is None else entry.emergency or "",
        overrides=_overrides(entry, at),
        release=await _release(configs, version, config_hash),
        complete=complete,
    )


async def _let_in(
    told: Event | None,
    entry: InForce | None,
    version: int,
    configs: ConfigStore,
    approvals: Iterable[ApprovalShown],
) -> LetIn:
    """Say who did; of a change that no event tells of, whoever made the journal's entry."""
    if told is not None:
        return LetIn(
            author=_text(told, "author"),
            activated_by=_text(told, "by"),
            activated=time_of(told.time),
            reason=_text(told, "reason"),
            approvals=list(approvals),
        )
    assert entry is not None  # noqa: S101 - what no event tells of is in the journal
    kept = await configs.get(version)
    return LetIn(
        author=entry.author,
        activated_by=entry.by,
        activated=time_of(entry.at),
        reason=kept.reason,
        approvals=list(approvals),
    )


async def _approvals(
    steering: SteeringStore, version: int, config_hash: str, at: datetime
) -> list[ApprovalShown]:
    try:
        life = await steering.life(version)
    except RefusedChangeError:
        return []
    return [
        ApprovalShown(by=each.by, time=time_of(each.at), config_hash=each.content_hash)
        for each in life.approvals
        if each.content_hash == config_hash and time_of(each.at) <= at
    ]


async def _release(configs: ConfigStore, version: int, config_hash: str) -> Release | None:
    try:
        kept = await configs.get(version)
    except ConfigError:
        return None
    # A Redis that lost its last second may have given the number to another document.
    return release_of(kept.document) if kept.config_hash == config_hash else None


def _rollout(entry: InForce | None, at: datetime) -> str:
    if entry is None or entry.candidate is None:
        return ""
    if entry.share_from is not None and at.timestamp() < entry.share_from:
        return f"A step of the rollout of version {entry.candidate} was about to begin"
    return f"Version {entry.candidate} was seen by {100 * entry.share:g} % of the keys"


def _overrides(entry: InForce | None, at: datetime) -> list[str]:
    return [
        f"{each.field} of {each.family} for {each.entity or 'every entity'} was {each.value}, by "
        f"{each.author}: {each.reason}"
        for each in (() if entry is None else entry.overrides)
        if at.timestamp() < each.expires
    ]


def _text(event: Event | None, name: str) -> str:
    value = None if event is None else event.details.get(name)
    return "" if value is None else str(value)
