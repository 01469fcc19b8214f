"""Looks for decisions in that part of the stream that is neither drained nor among the recent rows.

There is such a part only while nobody drains the stream, and then it may be gigabytes. A decision
is looked for first where the time in its id says that it should be. What is not there is looked for
everywhere, by one walk for all: who comes while it is under way joins it, and has seen everything
when the walk has come round to that position again.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from observability.ledger.decision import id_in, time_of
from observability.ledger.lag import drained_id, order
from observability.ledger.stream import LedgerStream, Message, readable

PIECE = 32
# A gateway's clock makes the id, and the clock of Redis the message's, a few milliseconds later.
BEFORE_MS, AFTER_MS = 200, 3000
NEAR_BYTES = 2 * 1024 * 1024

# The round of the walk, and the last message in it that was looked at.
_Position = tuple[int, tuple[int, int]]
_BEGIN = (0, 0)


@dataclass(eq=False, slots=True)
class _Seeker:
    joined: _Position
    answer: asyncio.Future[bytes | None]

    def seen_all(self, position: _Position) -> bool:
        round_, at = self.joined
        return position >= (round_ + 1, at)

    def tell(self, row: bytes | None) -> None:
        if not self.answer.done():  # whoever waited may have left
            self.answer.set_result(row)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class StreamSearch:
    """One for a stream; it walks only while somebody waits for it."""

    def __init__(self, stream: LedgerStream, end: Callable[[], str | None]) -> None:
        """Take what says where the recent rows begin, which need no search."""
        self._stream = stream
        self._end = end
        self._seekers: dict[str, list[_Seeker]] = {}
        self._position: _Position = (0, _BEGIN)
        self._walk: asyncio.Task[None] | None = None

    async def find(self, decision_id: str) -> bytes | None:
        """Find a decision's row; raises what an absent Redis raises."""
        row = await self._near(decision_id)
        return await self._everywhere(decision_id) if row is None else row

    async def _near(self, decision_id: str) -> bytes | None:
        """Look where the id's time says; a decision that waited in a spool came later."""
        ms = time_of(decision_id)
        if ms is None:
            return None
        after, size = str(max(ms - BEFORE_MS, 0)), 0
        while size < NEAR_BYTES and order(after)[0] <= ms + AFTER_MS:
            piece = await self._stream.read_in_pieces(after, PIECE)
            for message in piece:
                row = _rows(message).get(decision_id)
                if row is not None:
                    return row
                size += len(message.data)
            if not piece:
                break
            after = piece[-1].id
        return None

    async def _everywhere(self, decision_id: str) -> bytes | None:
        if self._walk is None:
            self._position = (self._position[0] + 1, _BEGIN)
            # It walks for whoever comes: what it logs belongs to no request.
            self._walk = asyncio.create_task(self._go(), name="ledger search", context=Context())
        seeker = _Seeker(self._position, asyncio.get_running_loop().create_future())
        self._seekers.setdefault(decision_id, []).append(seeker)
        try:
            return await seeker.answer
        finally:
            self._drop(decision_id, seeker)

    async def _go(self) -> None:
        try:
            while self._seekers:
                await self._go_round()
        except Exception as error:  # noqa: BLE001 - whatever it was, all who wait must hear of it
            for seeker in self._all():
                seeker.fail(error)
            self._seekers.clear()
        finally:
            self._walk = None

    async def _go_round(self) -> None:
        """Look at each message between what is drained and what is recent, while somebody waits."""
        after = await drained_id(self._stream.redis, self._stream.name)
        while self._seekers:
            piece = await self._stream.read_in_pieces(after, PIECE)
            for message in piece:
                self._look(message)
            if not piece or self._is_end(piece[-1].id):
                self._move((self._position[0] + 1, _BEGIN))
                return
            after = piece[-1].id
            self._move((self._position[0], order(after)))

    def _is_end(self, message_id: str) -> bool:
        end = self._end()
        return end is not None and order(message_id) >= order(end)

    def _look(self, message: Message) -> None:
        rows = _rows(message)
        for decision_id in rows.keys() & self._seekers.keys():
            for seeker in self._seekers.pop(decision_id):
                seeker.tell(rows[decision_id])

    def _move(self, position: _Position) -> None:
        """Note how far the walk is, and answer those who have seen all of it in vain."""
        self._position = position
        for seeker in self._all():
            if seeker.seen_all(position):
                seeker.tell(None)
        self._seekers = {
            each: left
            for each, seekers in self._seekers.items()
            if (left := [seeker for seeker in seekers if not seeker.answer.done()])
        }

    def _drop(self, decision_id: str, seeker: _Seeker) -> None:
        """Forget one who was answered or left: a walk for nobody ends."""
        seekers = self._seekers.get(decision_id, [])
        if seeker in seekers:
            seekers.remove(seeker)
            if not seekers:
                del self._seekers[decision_id]

    def _all(self) -> list[_Seeker]:
        return [seeker for seekers in self._seekers.values() for seeker in seekers]


def _rows(message: Message) -> dict[str, bytes]:
    entry = readable(message)
    return {} if entry is None else {id_in(row): row for row in entry.rows}
