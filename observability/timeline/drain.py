"""Moves noted events from Redis into the column store.

It may be killed anywhere: what it stored and did not let go of is stored again, as the same events.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.timeline.event import Event, read_event
from observability.timeline.store import append
from observability.timeline.stream import Message, TimelineStream
from settings.redis_names import redis_name

log = logging.getLogger(__name__)

CHUNK = 500


class TimelineDrain:
    """One for a stream; a second one would do no harm."""

    def __init__(self, redis: Redis, store: Clickhouse, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._store = store
        self._clock = clock
        self._stream = TimelineStream(redis)
        self._told_key = redis_name(redis, "timeline", "lost", "told")

    async def step(self) -> bool:
        """Store the oldest events; says whether there is more to do at once."""
        messages = await self._stream.read(CHUNK)
        if messages:
            events = _readable(messages)
            lost = await self._lost_since(messages[0])
            told = [lost] if lost else []
            await asyncio.to_thread(append, self._store, [*told, *events], self._clock())
            if lost:
                await self._redis.set(self._told_key, str(lost.details["lost"]))
            await self._stream.done(messages)
        return len(messages) == CHUNK

    async def _lost_since(self, oldest: Message) -> Event | None:
        """Tell of what the stream let go of, in front of the oldest event that it has."""
        lost = await self._stream.lost()
        if lost <= int(await self._redis.get(self._told_key) or 0):
            return None
        milliseconds = int(oldest.id.partition("-")[0])
        return Event("events_lost", milliseconds / 1000, details={"lost": lost})


def _readable(messages: Sequence[Message]) -> list[Event]:
    events = []
    for message in messages:
        try:
            events.append(read_event(message.data))
        except ValueError as error:
            log.error("The timeline goes without the message %s: %s", message.id, error)  # noqa: TRY400 - the trace says no more
    return events
