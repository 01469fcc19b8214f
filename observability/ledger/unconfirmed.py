"""The last seconds of what Redis acknowledged.

With `appendfsync everysec` a Redis that is killed may forget entries that it acknowledged while a
flush was under way. The writer keeps its copies for a few seconds and gives back what is missing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observability.ledger.stream import LedgerStream

MAX_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Copy:
    sent_at: float
    id: str
    entry: bytes


class Unconfirmed:
    """Copies of acknowledged entries, young enough that Redis may yet forget them."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._copies: deque[_Copy] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._copies)

    def entries(self) -> list[bytes]:
        """Give all copies, oldest first."""
        return [copy.entry for copy in self._copies]

    def add(self, now: float, ids: Sequence[str], entries: Sequence[bytes]) -> None:
        for message_id, entry in zip(ids, entries, strict=True):
            self._copies.append(_Copy(now, message_id, entry))
            self._bytes += len(entry)
        self._forget(now - self._keep_s)

    async def restore(self, stream: LedgerStream, now: float) -> int:
        """Send again what the stream no longer holds; raises what stops it, and loses nothing.

        However old the copies are by now: the outage may have been long.
        """
        copies = list(self._copies)
        gone = [copies[place] for place in await stream.missing([copy.id for copy in copies])]
        restored = 0
        for piece in _pieces(gone):
            sent = await stream.send([copy.entry for copy in piece])
            self._renew(now, piece[: len(sent.ids)], sent.ids)
            restored += len(sent.ids)
            if sent.error is not None:
                raise sent.error
        return restored

    def _renew(self, now: float, copies: Sequence[_Copy], ids: Sequence[str]) -> None:
        """Note under which ids the stream holds what it had forgotten."""
        old = {copy.id for copy in copies}
        self._copies = deque(copy for copy in self._copies if copy.id not in old)
        for copy, message_id in zip(copies, ids, strict=True):
            self._copies.append(_Copy(now, message_id, copy.entry))

    def _forget(self, before: float) -> None:
        while self._copies and (self._copies[0].sent_at < before or self._bytes > MAX_BYTES):
            self._bytes -= len(self._copies.popleft().entry)


def _pieces(copies: Sequence[_Copy]) -> Iterator[list[_Copy]]:
    """Part what one write could not bring to Redis in time."""
    piece, size = list[_Copy](), 0
    for copy in copies:
        piece.append(copy)
        size += len(copy.entry)
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
