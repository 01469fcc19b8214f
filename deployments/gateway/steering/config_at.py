"""Finds the configuration that was in force at a time, and who let it in.

Steering keeps a journal of its changes in Redis. What it did not write, an older release's or a
version that was activated past it, is on the timeline: the newest events in Redis' stream, the
older ones in the archive.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from redis.asyncio import Redis

from config_store.errors import ConfigError, RefusedChangeError
from config_store.releases import Release, release_of
from config_store.steering.journal import JournalEntry
from config_store.steering.state import VersionLife
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from deployments.api.config_past import AtShown, LetIn
from deployments.api.errors import NotFoundError
from deployments.gateway.steering.words import describe_approvals, time_of
from deployments.history.client import HistoryAwayError, ask
from deployments.history.questions import Questions
from observability.timeline.event import Event, read_event
from observability.timeline.stream import MOST, Message, TimelineStream

ACTIVATED: Final = "config_activated"
MARK = ACTIVATED.encode()
PAGE = 500
# Events have whole milliseconds, the journal has all digits.
ONE_MILLISECOND = timedelta(milliseconds=1)
SAME_CHANGE_SECONDS = 0.002


async def config_at(
    redis: Redis, steering: SteeringStore, configs: ConfigStore, time: datetime, now: float
) -> AtShown:
    """Find it; NotFoundError where nothing was, HistoryAwayError where only the archive knows."""
    entry = await steering.journal_entry(time.timestamp())
    # Changes have the time of Redis, and this process's clock may be behind that.
    latest = now if entry is None else max(now, entry.at)
    at = min(time, datetime.fromtimestamp(latest, UTC))
    # In this order: what is moved into the archive meanwhile is found there.
    event = await _newest_in_stream(redis, at)
    away: HistoryAwayError | None = None
    try:
        event = _later(event, await _newest_in_archive(at))
    except HistoryAwayError as error:
        away = error
    if entry is None and event is None:
        if away is not None:
            raise away
        raise NotFoundError(
            f"No configuration was in force at {at.isoformat()}, as far as the timeline goes: give "
            "a later time"
        )
    return await _describe(at, entry, event, steering, configs, complete=away is None)


async def _newest_in_stream(redis: Redis, at: datetime) -> Event | None:
    """Give the latest activation in the stream.

    It has thousands of events where the archive is away: a page at a time, and not read on the
    event loop.
    """
    stream, after = TimelineStream(redis), ""
    found: Event | None = None
    for _ in range(0, MOST, PAGE):
        page = await stream.read(PAGE, after)
        found = _later(found, await asyncio.to_thread(_latest, page, at))
        if len(page) < PAGE:
            break
        after = page[-1].id
    return found


def _latest(page: Sequence[Message], at: datetime) -> Event | None:
    latest: Event | None = None
    for each in page:
        event = _event(each.data) if MARK in each.data else None
        if event is None or event.kind != ACTIVATED:
            continue
        if time_of(event.time) <= at + ONE_MILLISECOND:
            latest = _later(latest, event)
    return latest


async def _newest_in_archive(at: datetime) -> Event | None:
    # The archive cuts `until` to whole milliseconds, and leaves out what is at it.
    page = await ask(Questions.timeline, 1, until=at + 2 * ONE_MILLISECOND, kinds=[ACTIVATED])
    found = [
        Event(ACTIVATED, each["time"].timestamp(), details=each["details"]) for each in page.events
    ]
    return found[0] if found else None


def _later(one: Event | None, other: Event | None) -> Event | None:
    """Give the later of two events; of two of the same time the first one."""
    if one is None or other is None:
        return one or other
    return other if other.time > one.time else one


def _event(data: bytes) -> Event | None:
    try:
        return read_event(data)
    except ValueError:  # of another release
        return None


async def _describe(
    at: datetime,
    entry: JournalEntry | None,
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
    activation = event if event is not None and _text(event, "version") == str(version) else None
    life = await _life(steering, version, config_hash)
    return AtShown(
        time=at,
        version=version,
        config_hash=config_hash,
        before=int(_text(activation, "before") or 0),
        let_in=await _let_in(activation, entry, version, configs, life, at),
        rollout="" if past_steering else _rollout(entry, at),
        emergency="" if entry is None else entry.emergency or "",
        overrides=_overrides(entry, at),
        release=await _release(configs, version, config_hash),
        complete=complete,
    )


async def _let_in(
    activation: Event | None,
    entry: JournalEntry | None,
    version: int,
    configs: ConfigStore,
    life: VersionLife | None,
    at: datetime,
) -> LetIn:
    """Say who did; of a change that no event tells of, whoever made the journal's entry."""
    approvals = (
        [] if life is None else [each for each in describe_approvals(life) if each.time <= at]
    )
    co_authors = [] if life is None else list(life.co_authors)
    if activation is not None:
        return LetIn(
            author=_text(activation, "author"),
            co_authors=co_authors,
            activated_by=_text(activation, "by"),
            activated=time_of(activation.time),
            reason=_text(activation, "reason"),
            approvals=approvals,
        )
    assert entry is not None  # noqa: S101 - what no event tells of is in the journal
    kept = await configs.get(version)
    return LetIn(
        author=entry.author,
        co_authors=co_authors,
        activated_by=entry.by,
        activated=time_of(entry.at),
        reason=kept.reason,
        approvals=approvals,
    )


async def _life(steering: SteeringStore, version: int, config_hash: str) -> VersionLife | None:
    """Give the life of the version that was in force, and of no other that has its number now."""
    try:
        life = await steering.life(version)
    except RefusedChangeError:
        return None
    return life if life.content_hash == config_hash else None


async def _release(configs: ConfigStore, version: int, config_hash: str) -> Release | None:
    try:
        kept = await configs.get(version)
    except ConfigError:
        return None
    # A Redis that lost its last second may have given the number to another document.
    return release_of(kept.document) if kept.config_hash == config_hash else None


def _rollout(entry: JournalEntry | None, at: datetime) -> str:
    if entry is None or entry.candidate is None:
        return ""
    if entry.share_from is not None and at.timestamp() < entry.share_from:
        return f"A step of the rollout of version {entry.candidate} was about to begin"
    return f"Version {entry.candidate} was seen by {100 * entry.share:g} % of the keys"


def _overrides(entry: JournalEntry | None, at: datetime) -> list[str]:
    return [
        f"{each.field} of {each.family} for {each.entity or 'every entity'} was {each.value}, by "
        f"{each.author}: {each.reason}"
        for each in (() if entry is None else entry.overrides)
        if at.timestamp() < each.expires
    ]


def _text(event: Event | None, name: str) -> str:
    value = None if event is None else event.details.get(name)
    return "" if value is None else str(value)
