"""Writes each second how the platform is, for /status, /ready and `ballast status`."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from deployments.runtime.platform_health import WRITTEN_EVERY_SECONDS, PlatformHealth, health_name
from settings.environment import Settings
from settings.redis_connection import REDIS_AWAY, open_redis

# What nobody writes any more is soon gone, so that a later cluster of nodes does not read it.
EXPIRES_SECONDS = 3600

log = logging.getLogger(__name__)


class HealthPublisher:
    """A thread of its own: a Redis that hangs must not keep the supervisor from its work."""

    def __init__(self, settings: Settings, health: Callable[[], PlatformHealth]) -> None:
        self._settings = settings
        self._health = health
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take the word back: what has ended is not ill."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.run(self._write_on())

    async def _write_on(self) -> None:
        redis = open_redis(self._settings.redis_address, self._settings.redis_prefix)
        try:
            while not self._stopping.is_set():
                try:
                    content = self._health().model_dump_json()
                    await redis.set(health_name(redis), content, ex=EXPIRES_SECONDS)
                except REDIS_AWAY:
                    pass  # said elsewhere
                except Exception:
                    log.exception("The platform's health could not be published")
                await asyncio.to_thread(self._stopping.wait, WRITTEN_EVERY_SECONDS)
            with suppress(*REDIS_AWAY):
                await redis.delete(health_name(redis))
        finally:
            await redis.aclose()
