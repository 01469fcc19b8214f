"""What earlier releases did: versions written past steering, and the lives that they could read."""

import time
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from config_store.document import ConfigDocument
from config_store.steering.headers import header_of_record
from config_store.steering.state import Approval, Stage
from config_store.store import ConfigStore, packed
from observability.timeline.event import Event
from observability.timeline.stream import TimelineStream
from settings.frozen import Frozen


class PastLife(Frozen):
    """A version's life as releases knew it that did not tell why a rollout ended.

    They refuse a state with any other field in one of its lives.
    """

    number: int
    content_hash: str
    author: str
    message: str
    parent: int | None
    created: float
    stage: Stage
    checked: float | None = None
    refusal: str = ""
    approvals: tuple[Approval, ...] = ()
    policy: str = ""
    against: str = ""
    findings: tuple[str, ...] = ()


async def publish(
    redis: Redis, document: ConfigDocument, author: str, reason: str, now: datetime
) -> int:
    """Store a version under the next number."""
    configs = ConfigStore(redis)
    number = await redis.hlen(configs.versions_key) + 1
    while await redis.hexists(configs.versions_key, str(number)):
        number += 1
    await redis.hset(configs.versions_key, str(number), packed(document, author, reason, now))
    await redis.publish(configs.channel, f"published {number}")
    return number


async def activate(redis: Redis, number: int) -> None:
    """Name a version as the active one, and note it for the timeline."""
    configs = ConfigStore(redis)
    record: Any = await redis.hget(configs.versions_key, str(number))
    before = int(await redis.get(configs.active_key) or 0)
    _, config_hash, author, reason, *_ = header_of_record(number, record)
    event = Event(
        "config_activated",
        time.time(),
        details={
            "version": number,
            "before": before,
            "author": author,
            "reason": reason,
            "config_hash": config_hash,
        },
    )
    await redis.set(configs.active_key, number)
    await TimelineStream(redis).add([event])
    await redis.publish(configs.channel, f"activated {number}")
