"""Keeps one thing from Redis in memory, and keeps it while Redis is away."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Generic, Self, TypeVar

from redis.asyncio import Redis

from config_store.errors import AlreadyWatchingError, NothingLoadedError, NoticesLostError
from config_store.store import ConfigStore, Version
from observability.background import BackgroundLoop, Loops
from settings.redis_connection import REDIS_AWAY

T = TypeVar("T")

log = logging.getLogger(__name__)

# A notice can be lost while a connection dies unnoticed; the poll then finds the change.
POLL_SECONDS = 3.0
# A load that hangs longer counts as a Redis that is away.
LOAD_SECONDS = 2.0
FIRST_RETRY_SECONDS = 0.05
LONGEST_RETRY_SECONDS = 1.0


class RedisWatch(Generic[T]):
    """Loads a value, loads it again at each notice on its channel, and tells when it changed.

    on_change runs on the event loop before the value becomes current; if it raises, the value
    that was taken over last stays current and the next poll tries again.
    """

    def __init__(
        self,
        redis: Redis,
        channel: str,
        load: Callable[[], Awaitable[T]],
        on_change: Callable[[T], None],
        *,
        poll_seconds: float = POLL_SECONDS,
        jitter: Callable[[], float] = random.random,
        loops: Loops | None = None,
    ) -> None:
        self._redis = redis
        self._channel = channel
        self._load = load
        self._on_change = on_change
        self._poll_seconds = poll_seconds
        self._jitter = jitter
        self._loops = loops or Loops()
        self._loop: BackgroundLoop | None = None
        self._wait = FIRST_RETRY_SECONDS
        self._loaded = asyncio.Event()
        self._value: T | None = None
        self._trouble: Exception | None = None
        self._connected = False

    @property
    def value(self) -> T | None:
        """The last value taken over; None until the first one was."""
        return self._value

    @property
    def stale(self) -> bool:
        """Whether the value may be behind: Redis is away, or what it holds cannot be taken over."""
        return not self._connected or self._trouble is not None

    async def start(self) -> None:
        """Begin to watch; returns at once, with or without Redis."""
        if self._loop is not None:
            raise AlreadyWatchingError(self._channel)
        self._loop = self._loops.start(
            f"watch {self._channel}",
            self._watch,
            self._retry_seconds,
            expected=REDIS_AWAY,
            longest_backoff=LONGEST_RETRY_SECONDS,
        )

    async def stop(self) -> None:
        """End the watch and its connection; the value stays."""
        loop, self._loop = self._loop, None
        if loop is not None:
            await self._loops.stop(loop)
        self._connected = False

    async def first(self, seconds: float) -> T:
        """Wait for the first value; for a start that cannot go on without one."""
        try:
            async with asyncio.timeout(seconds):
                await self._loaded.wait()
        except TimeoutError:
            cause = str(self._trouble or "Redis has not answered yet")
            raise NothingLoadedError(self._channel, seconds, cause) from self._trouble
        return self._value  # type: ignore[return-value] # set before the event is; T may hold None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _watch(self) -> None:
        try:
            await self._follow()
        except Exception as trouble:
            self._lose(trouble)
            raise

    def _lose(self, trouble: Exception) -> None:
        """Note that the value can no longer be followed; each retry in a row comes later."""
        longer = min(2 * self._wait, LONGEST_RETRY_SECONDS)
        self._wait = FIRST_RETRY_SECONDS if self._connected else longer
        self._connected, self._trouble = False, trouble

    def _retry_seconds(self) -> float:
        # Jitter keeps a hundred replicas from coming back in the same millisecond.
        return self._wait * (0.5 + 0.5 * self._jitter())

    async def _follow(self) -> None:
        """Stay subscribed and load at whatever comes: the confirmation, a notice, or the poll.

        The confirmation counts, since what changed before it was said to nobody. A change that the
        poll found may be ahead of its notice; at the next poll that notice is lost.
        """
        async with self._redis.pubsub() as notices:
            await notices.subscribe(self._channel)
            unannounced = False
            while True:
                notice = await notices.get_message(timeout=self._poll_seconds)
                if notice is None and unannounced:
                    raise NoticesLostError(self._channel)
                well = self._trouble is None  # what can be taken over at last was announced before
                unannounced = await self._refresh() and notice is None and well

    async def _refresh(self) -> bool:
        """Load the value; tell whether it was another one."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                value = await self._load()
            changed = self._take_over(value)
        except REDIS_AWAY:
            raise
        except Exception as trouble:
            # A bad value must not end the watch: the next one may be good.
            if str(trouble) != str(self._trouble):
                log.exception(
                    "The new %s cannot be used, and the previous one stays in use", self._channel
                )
            self._connected, self._trouble = True, trouble
            return False
        self._connected, self._trouble = True, None
        if self._loop is not None:  # it follows for as long as all is well
            self._loop.note_success()
        return changed

    def _take_over(self, value: T) -> bool:
        if self._loaded.is_set() and value == self._value:
            return False
        self._on_change(value)
        self._value = value
        self._loaded.set()
        return True


class ConfigWatch(RedisWatch[Version]):
    """The active configuration, in memory."""

    def __init__(
        self,
        redis: Redis,
        on_change: Callable[[Version], None],
        *,
        poll_seconds: float = POLL_SECONDS,
        loops: Loops | None = None,
    ) -> None:
        store = ConfigStore(redis)
        super().__init__(
            redis, store.channel, store.active, on_change, poll_seconds=poll_seconds, loops=loops
        )
