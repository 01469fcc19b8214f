"""Puts a model that was trained into the registry, as its name's champion, and notes it."""

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from models.model_version import DEMO, MEASURED, TELEMETRY, ModelVersion
from models.registry import CHAMPION, Registry
from observability.timeline.event import Event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

log = logging.getLogger(__name__)


def make_champion(
    registry: Registry,
    scratch: Path,
    name: str,
    save: Callable[[Path], object],
    metrics: Mapping[str, float],
    *,
    made_up: bool,
) -> ModelVersion:
    """Save it in the run's own folder first, which goes with the run, however that ends.

    What was trained on the demo's telemetry is marked so: it is replaced once there is better.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        save(Path(folder))
        trained_at = datetime.fromtimestamp(time.time(), UTC).isoformat()
        tags = {"trained_at": trained_at, TELEMETRY: DEMO if made_up else MEASURED}
        version = registry.register(name, Path(folder), metrics=metrics, tags=tags)
    return registry.set_alias(name, CHAMPION, version.version)


def note_trained(settings: Settings, version: ModelVersion) -> None:
    """Note it on the timeline; a Redis that is away loses the note, and never the model."""
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
