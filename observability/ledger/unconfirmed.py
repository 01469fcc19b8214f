"""The last seconds of what Redis acknowledged.

With `appendfsync everysec` a Redis that is killed may forget entries that it acknowledged while a
flush was under way. The writer keeps its copies for a few seconds and gives back what is missing.

A copy goes only where a look at Redis showed that it was not restarted since it took the entry: the
time alone shows nothing, since whoever looks may be late.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observability.ledger.stream import BULK_TIMEOUT_S, LedgerStream

MAX_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(eq=False, slots=True)
class Copy:
    """An entry that Redis acknowledged: when, under which id, and whether the spool has it too."""

    sent_at: float
    id: str
    entry: bytes
    spooled: bool = False


class Unconfirmed:
    """Copies of acknowledged entries, young enough that Redis may yet forget them."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._copies: deque[Copy] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Copy]:
        """Give all copies, oldest first."""
        return iter(self._copies)

    @property
    def full(self) -> bool:
        """Whether they take more memory than they should: who sends in bulk waits."""
        return self._bytes > MAX_BYTES

    def add(self, now: float, ids: Sequence[str], entries: Sequence[bytes]) -> None:
        for message_id, entry in zip(ids, entries, strict=True):
            self._copies.append(Copy(now, message_id, entry))
            self._bytes += len(entry)

    def confirm(self, asked_at: float, *, written: bool) -> None:
        """Forget what the Redis that was asked then, and was not restarted, holds for good.

        That is what it took some seconds before; where there is much, all that it has written.
        """
        safe_at = asked_at - self._keep_s
        while self._copies:
            sent_at = self._copies[0].sent_at
            if sent_at >= safe_at and not (written and self.full and sent_at <= asked_at):
                return
            self._bytes -= len(self._copies.popleft().entry)

    async def restore(self, stream: LedgerStream, now: float) -> int:
        """Send again what the stream no longer holds; raises what stops it, and loses nothing.

        However old the copies are by now: the outage may have been long.
        """
        copies = list(self._copies)
        gone = [copies[place] for place in await stream.missing([copy.id for copy in copies])]
        restored = 0
        for piece in _pieces(gone):
            sent = await stream.send([copy.entry for copy in piece], BULK_TIMEOUT_S)
            self._renew(now, piece[: len(sent.ids)], sent.ids)
            restored += len(sent.ids)
            if sent.error is not None:
                raise sent.error
        return restored

    def _renew(self, now: float, copies: Sequence[Copy], ids: Sequence[str]) -> None:
        """Note under which ids the stream holds what it had forgotten."""
        old = set(copies)
        self._copies = deque(copy for copy in self._copies if copy not in old)
        for copy, message_id in zip(copies, ids, strict=True):
            copy.sent_at, copy.id = now, message_id
            self._copies.append(copy)


def _pieces(copies: Sequence[Copy]) -> Iterator[list[Copy]]:
    """Part what is too much for one write."""
    piece, size = list[Copy](), 0
    for copy in copies:
        piece.append(copy)
        size += len(copy.entry)
        if size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
