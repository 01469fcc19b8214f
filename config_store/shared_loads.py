"""Loads a thing once at a time, however many wait for it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")


class SharedLoads(Generic[Key, T]):
    """A waiter that leaves ends nothing; the load goes on for those after it."""

    def __init__(self) -> None:
        self._running: dict[Key, asyncio.Future[T]] = {}

    def start(self, key: Key, load: Callable[[], Awaitable[T]]) -> "asyncio.Future[T]":
        """Begin to load, unless that is going on; the future is to be shielded."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(load())
            running.add_done_callback(lambda done: self._end(key, done))
        return running

    async def get(self, key: Key, load: Callable[[], Awaitable[T]]) -> T:
        return await asyncio.shield(self.start(key, load))

    def _end(self, key: Key, done: "asyncio.Future[T]") -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # whoever waits hears of it; that nobody does is no error
