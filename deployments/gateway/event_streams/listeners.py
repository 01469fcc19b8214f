"""Bounds the event streams that are open at once: those of one key, and all of a gateway."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.api.errors import QuotaError

PER_KEY = 64
IN_ALL = 256
# Every stream ends by itself within half a minute, and mostly its client opens it again.
COME_AGAIN_SECONDS = 5


class Listeners:
    """Counts the open event streams of this gateway."""

    def __init__(self, per_key: int = PER_KEY, in_all: int = IN_ALL) -> None:
        self._per_key = per_key
        self._in_all = in_all
        self._open: Counter[str] = Counter()

    def admit(self, key_id: str) -> None:
        """Count one more, or refuse it."""
        if self._open[key_id] >= self._per_key:
            raise QuotaError(
                f"The key has {self._per_key} event streams open, which is the limit: "
                "close one, or let several readers share one",
                retry_after_s=COME_AGAIN_SECONDS,
            )
        if self._open.total() >= self._in_all:
            raise QuotaError(
                f"This gateway has {self._in_all} event streams open, which is the limit: close "
                "some, or add gateway replicas",
                retry_after_s=COME_AGAIN_SECONDS,
            )
        self._open[key_id] += 1

    def release(self, key_id: str) -> None:
        self._open[key_id] -= 1
        if self._open[key_id] <= 0:
            del self._open[key_id]


class EventStream(StreamingResponse):
    """A stream of events that counts until it ends, however it ends."""

    def __init__(
        self, lines: AsyncIterator[bytes], listeners: Listeners, key_id: str, **rest: Any
    ) -> None:
        super().__init__(lines, media_type="text/event-stream", **rest)
        self._listeners = listeners
        self._key_id = key_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._listeners.release(self._key_id)
