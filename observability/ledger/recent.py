"""The rows of the latest messages by their ids, so that a lookup reads no message twice."""

import asyncio
from collections import deque
from dataclasses import dataclass

from observability.ledger.decision import id_in
from observability.ledger.lag import order
from observability.ledger.stream import LedgerStream, Message, readable
from settings.redis_connection import REDIS_AWAY

MOST_BYTES = 64 * 1024 * 1024
CHUNK = 512
TRY_AGAIN_SECONDS = 1.0
_NONE = ("", b"")


@dataclass(frozen=True, slots=True)
class _Kept:
    message_id: str
    ids: tuple[str, ...]
    size: int


class RecentRows:
    """Follows the stream when it is asked; keeps so many bytes of it, the latest."""

    def __init__(self, stream: LedgerStream, most_bytes: int = MOST_BYTES) -> None:
        self._stream = stream
        self._most_bytes = most_bytes
        # A row may come twice, in two messages; the later one keeps it.
        self._rows: dict[str, tuple[str, bytes]] = {}
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._last: str | None = None
        self._reading = asyncio.Lock()
        self._failure: Exception | None = None
        self._try_again_at = float("-inf")

    def get(self, decision_id: str) -> bytes | None:
        found = self._rows.get(decision_id)
        return None if found is None else found[1]

    async def refresh(self) -> None:
        """Take over what has come since; raises what an absent Redis raises.

        One that hangs costs its whole timeout, so one waits for it and the others share what comes
        of that: those who wait with it, and for a moment those who come later.
        """
        if self._failure is not None and self._reading.locked():
            raise self._failure  # somebody tries again
        async with self._reading:
            if self._failure is not None and _now() < self._try_again_at:
                raise self._failure
            try:
                await self._read_on()
            except REDIS_AWAY as failure:
                self._failure, self._try_again_at = failure, _now() + TRY_AGAIN_SECONDS
                raise
            self._failure = None

    async def _read_on(self) -> None:
        if self._last is None:
            await self._begin()
        size = 0
        while messages := await self._stream.read_in_pieces(self._last, CHUNK):
            for message in messages:
                self._add(message)
            self._drop_oldest()
            size += sum(len(message.data) for message in messages)
            if size > self._most_bytes:  # what comes next may be hours of it
                self._forget()
                await self._begin()
                size = 0

    @property
    def oldest(self) -> str | None:
        """Give the id of the oldest message whose rows are here."""
        return self._kept[0].message_id if self._kept else None

    def covers(self, begin: str | None, latest: str | None) -> bool:
        """Tell whether all of a stream from an id to its latest one is here.

        A Redis that began anew may give lower ids than before: then the reading begins anew too.
        """
        if begin is None or latest is None:
            return True
        if self._last is None or order(latest) < order(self._last):
            self._forget()
            return False
        return bool(self._kept) and order(self._kept[0].message_id) <= order(begin)

    async def _begin(self) -> None:
        """Read the latest part alone: behind it may lie hours that nobody could drain."""
        latest: list[Message] = []
        size = 0
        async for message in self._stream.newest_first(CHUNK):
            latest.append(message)
            size += len(message.data)
            if size > self._most_bytes:
                break
        for message in reversed(latest):
            self._add(message)
        self._drop_oldest()

    def _add(self, message: Message) -> None:
        self._last = message.id
        entry = readable(message)
        rows = () if entry is None else entry.rows
        ids = tuple(map(id_in, rows))
        self._rows.update({each: (message.id, row) for each, row in zip(ids, rows, strict=True)})
        self._kept.append(_Kept(message.id, ids, len(message.data)))
        self._bytes += len(message.data)

    def _drop_oldest(self) -> None:
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            oldest = self._kept.popleft()
            self._bytes -= oldest.size
            for each in oldest.ids:
                if self._rows.get(each, _NONE)[0] == oldest.message_id:
                    del self._rows[each]

    def _forget(self) -> None:
        self._rows.clear()
        self._kept.clear()
        self._bytes, self._last = 0, None


def _now() -> float:
    return asyncio.get_running_loop().time()
