"""Notes on the timeline that a model was trained."""

import asyncio
import logging
import time

from models.model_version import ModelVersion
from observability.timeline.event import Event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

log = logging.getLogger(__name__)


def note_trained(settings: Settings, version: ModelVersion) -> None:
    """Note it; a Redis that is away loses the note, and never the model."""
    details = {"model": version.name, "version": version.version}
    try:
        asyncio.run(_add(settings, Event("model_trained", time.time(), details=details)))
    except REDIS_AWAY as away:
        log.warning("That %s was trained could not be noted: %r", version.name, away)


async def _add(settings: Settings, event: Event) -> None:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        await TimelineStream(redis).add([event])
    finally:
        await redis.aclose()
