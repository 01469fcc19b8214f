"""The lane: waiting rows become one batch the moment a slot frees, and never wait on a timer.

A lone request starts at once. Under load the slots are taken, rows gather behind them, and the next
batch takes all that wait, so batches grow with the load and the hops are shared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deployments.errors import OverloadedError

LATE = "The request's deadline is over: try again"

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LaneLimits:
    max_batch_rows: int
    batches_in_flight: int
    max_waiting_rows: int


class _Party(Generic[Row, Result]):
    """The rows of one request: they travel together and are answered together."""

    __slots__ = ("answered", "deadline", "late", "rows")

    def __init__(
        self,
        rows: Sequence[Row],
        answered: "asyncio.Future[Sequence[Result]]",
        deadline: float,
        late: asyncio.TimerHandle,
    ) -> None:
        self.rows = rows
        self.answered = answered
        self.deadline = deadline
        self.late = late


class Lane(Generic[Row, Result]):
    """Holds at most a few batches in flight; the rest waits, up to a bound, and then is refused."""

    def __init__(
        self,
        send: Callable[[list[Row]], Awaitable[Sequence[Result]]],
        limits: LaneLimits,
        clock: Callable[[], float],
    ) -> None:
        self._send = send
        self._clock = clock
        self.limits = limits
        self._waiting: deque[_Party[Row, Result]] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self.waiting_rows = 0
        # Since they were last counted.
        self.refused_rows = 0

    @property
    def batches_in_flight(self) -> int:
        return len(self._in_flight)

    def ask(self, rows: Sequence[Row], deadline: float) -> "asyncio.Future[Sequence[Result]]":
        """Queue the rows of one request; the future holds one result a row, in order.

        When its deadline is over, on the lane's clock, the future fails, wherever the rows are.
        """
        if self.waiting_rows + len(rows) > self.limits.max_waiting_rows and self._waiting:
            self.refused_rows += len(rows)
            raise OverloadedError(
                f"{self.waiting_rows} rows wait already, and {self.limits.max_waiting_rows} is "
                "the bound: try again in a second, or add gateway replicas"
            )
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Sequence[Result]] = loop.create_future()
        late = loop.call_later(max(deadline - self._clock(), 0.0), _end_late, answered)
        self._waiting.append(_Party(rows, answered, deadline, late))
        self.waiting_rows += len(rows)
        self._dispatch()
        return answered

    async def drain(self) -> None:
        """Wait until nothing is in flight; new rows are still taken."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def _dispatch(self) -> None:
        while self._waiting and len(self._in_flight) < self.limits.batches_in_flight:
            parties = self._take()
            if not parties:
                return
            task = asyncio.ensure_future(self._carry(parties))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        self._dispatch()

    def _take(self) -> list[_Party[Row, Result]]:
        """Take whole requests up to the cap; one larger than the cap travels alone."""
        taken: list[_Party[Row, Result]] = []
        rows, now = 0, self._clock()
        while self._waiting:
            party = self._waiting[0]
            if taken and rows + len(party.rows) > self.limits.max_batch_rows:
                break
            self._waiting.popleft()
            self.waiting_rows -= len(party.rows)
            if party.answered.done():  # its client went away
                continue
            if party.deadline < now:
                _end_late(party.answered)
                continue
            taken.append(party)
            rows += len(party.rows)
        return taken

    async def _carry(self, parties: list[_Party[Row, Result]]) -> None:
        batch = [row for party in parties for row in party.rows]
        try:
            results = await self._send(batch)
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting client must hear of it
            for party in parties:
                party.late.cancel()
                if not party.answered.done():
                    party.answered.set_exception(error)
            return
        at = 0
        for party in parties:
            party.late.cancel()
            if not party.answered.done():
                party.answered.set_result(results[at : at + len(party.rows)])
            at += len(party.rows)


def _end_late(answered: "asyncio.Future[Any]") -> None:
    """Answer a request whose deadline is over; those that share its batch go on."""
    if not answered.done():
        answered.set_exception(OverloadedError(LATE))
