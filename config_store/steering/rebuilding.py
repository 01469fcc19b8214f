"""Makes a state of what lies beside it, where the state and its copy are lost and nobody knows it.

The journal tells what is in force and which versions were; the documents which there are. Nothing
tells what was approved, so what was never active counts as a draft that nobody has checked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.errors import NoActiveVersionError
from config_store.steering.headers import Header, header_of_record
from config_store.steering.journal import JournalEntry
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Emergency, Stage, SteeringState, VersionLife
from config_store.store import ConfigStore
from settings.redis_names import redis_name

# Versions that were active before so many changes of what serves are drafts too, or filed.
MOST_ENTRIES = 500
MOST_VERSIONS = 200


async def rebuilt(redis: Redis) -> SteeringState:
    """Make the state; NoActiveVersionError where nothing tells what is active."""
    configs = ConfigStore(redis)
    kept: Any = await redis.hkeys(configs.versions_key)
    numbers = sorted((int(each) for each in kept if each.isdigit()), reverse=True)
    entries = await asyncio.to_thread(_entries, await _journal(redis))
    active = await _active(redis, configs, entries, numbers)
    wanted = sorted({*numbers[:MOST_VERSIONS], active})
    records: Any = await redis.hmget(configs.versions_key, [str(each) for each in wanted])
    headers = await asyncio.to_thread(_headers, wanted, records)
    return _state(headers, entries, active)


async def _journal(redis: Redis) -> list[bytes]:
    key = redis_name(redis, "config", "in_force")
    try:
        found: Any = await redis.zrevrange(key, 0, MOST_ENTRIES - 1)
    except ResponseError:  # somebody put something of another type in its place
        return []
    return list(found)


def _entries(members: Sequence[bytes]) -> list[JournalEntry]:
    """Read the journal, newest first; without what another release wrote."""
    found = []
    for each in members:
        try:
            found.append(JournalEntry.read(each))
        except ValidationError:
            continue
    return found


def _headers(numbers: Sequence[int], records: Sequence[bytes | None]) -> dict[int, Header]:
    return {
        number: header_of_record(number, record)
        for number, record in zip(numbers, records, strict=True)
        if record is not None
    }


async def _active(
    redis: Redis, configs: ConfigStore, entries: Sequence[JournalEntry], numbers: Sequence[int]
) -> int:
    """Give what Redis's pointer names, as where steering is well; else what the journal does."""
    try:
        pointer: Any = await redis.get(configs.active_key)
    except ResponseError:
        pointer = None
    candidates = [int(pointer)] if pointer is not None and pointer.isdigit() else []
    candidates += [each.active for each in entries]
    for each in candidates:
        if each in numbers:
            return each
    raise NoActiveVersionError


def _state(
    headers: Mapping[int, Header], entries: Sequence[JournalEntry], active: int
) -> SteeringState:
    were_active = list(dict.fromkeys(each.active for each in entries))
    lives = {
        number: _life(header, _stage(header, active, were_active))
        for number, header in headers.items()
    }
    approvals = max((len(each.approved_by) for each in entries), default=0)
    settings = SteeringSettings(approvals_needed=min(approvals, 10))
    warm = [each for each in were_active if each != active and each in lives]
    latest = entries[0] if entries else None
    return SteeringState(
        revision=max((each.revision for each in entries), default=1),
        changed=max((each.at for each in entries), default=headers[active].created),
        active=active,
        warm=tuple(warm[: settings.warm]),
        versions=lives,
        emergency=None if latest is None else _emergency(latest),
        overrides=() if latest is None else latest.overrides,
        settings=settings,
    )


def _stage(header: Header, active: int, were_active: Sequence[int]) -> Stage:
    if header.number == active:
        return Stage.ACTIVE
    if header.withdrawn:
        return Stage.WITHDRAWN
    return Stage.DEPRECATED if header.number in were_active else Stage.DRAFT


def _life(header: Header, stage: Stage) -> VersionLife:
    served = stage in {Stage.ACTIVE, Stage.DEPRECATED}
    return VersionLife(
        number=header.number,
        content_hash=header.content_hash,
        author=header.author,
        message=header.message,
        parent=None,
        created=header.created,
        stage=stage,
        checked=header.created if served else None,
        adopted=not served,
        co_authors=header.co_authors,
    )


def _emergency(entry: JournalEntry) -> Emergency | None:
    if entry.emergency is None:
        return None
    return Emergency(since=entry.at, by=entry.by, reason=entry.emergency)
