"""Alarms as server-sent events: read off Redis, resumable by their ids."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from redis.asyncio import Redis

from deployments.runtime.state.log import notices_key
from settings.redis_connection import REDIS_AWAY

# Shorter than the deadline after which the ingress ends whatever hangs: we end it in good order,
# and the client's event source comes again with the id of the last event that it has seen.
OPEN_SECONDS = 25.0
BEAT_SECONDS = 5.0
POLL_SECONDS = 0.1
COME_AGAIN_MS = 500
_AT_ONCE = 500

log = logging.getLogger(__name__)


async def resumed_after(redis: Redis, last_event_id: str | None) -> str:
    """Give the id to go on after: the last one seen, or for a new client the latest."""
    if last_event_id is not None:
        return last_event_id
    latest: Any = await redis.xrevrange(notices_key(redis), count=1)
    return latest[0][0].decode() if latest else "0-0"


class Notices:
    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._clock = clock

    async def of_stream(self, stream: str, after: str) -> AsyncIterator[bytes]:
        """Give the events of one stream until the connection is due to be renewed."""
        until, source = self._clock() + OPEN_SECONDS, notices_key(self._redis)
        beat = self._clock()
        yield b"retry: %d\n\n" % COME_AGAIN_MS
        while (now := self._clock()) < until:
            try:
                found: Any = await self._redis.xrange(source, f"({after}", "+", count=_AT_ONCE)
            except REDIS_AWAY as away:
                log.info(
                    "An event stream is closed because Redis cannot be reached: %s",
                    type(away).__name__,
                )
                return
            for name, fields in found:
                after = name.decode()
                notice = orjson.loads(fields[b"n"])
                if notice.get("stream") == stream:
                    yield b"id: %s\nevent: alarm\ndata: %s\n\n" % (name, fields[b"n"])
                    beat = now
            if now - beat > BEAT_SECONDS:
                yield b": alive\n\n"
                beat = now
            await asyncio.sleep(POLL_SECONDS)
