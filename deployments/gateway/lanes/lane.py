"""The lane: waiting rows become one batch the moment a slot frees, and never wait on a timer.

A lone request starts at once. Under load the slots are taken, rows gather behind them, and the next
batch takes all that wait, so batches grow with the load and the hops are shared.

A request of many rows travels beside them in slices, one after another, so that short requests get
their turn between two slices at every stage; while others ask, there is a rest after each slice
(large_requests/turns.py). Owners, that is API keys, take turns in both.

A batch has rows of one version alone: where the next request has another, it waits for the next
batch, and those behind it with it. A rollout's candidate would so cut every batch short: its rows
wait in a queue beside the others, and whose next request came first has the next batch. An arm with
fewer rows waits longer so, however fast it is. Therefore as many of the incumbent's rows wait in a
queue of their own too: these two are treated alike, and only their times are compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from deployments.api.errors import LateError, OverloadedError
from deployments.gateway.lanes.expiry import Expiry
from deployments.gateway.lanes.fair_queue import FairQueue, have_room
from deployments.gateway.large_requests.turns import Turns

# Requests of many rows that may wait; each is up to the largest body.
MOST_LONG_REQUESTS = 8

Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class LaneLimits:
    max_batch_rows: int
    batches_in_flight: int
    max_waiting_rows: int
    slice_rows: int = 64
    # So many rows must wait for a batch to go beside another, unless all in flight are slow.
    rows_beside_another: int = 1
    slow_s: float = 0.05


class _Request(Generic[Row, Result]):
    """The rows of one request: they are answered together."""

    __slots__ = ("answered", "deadline", "order", "owner", "results", "rows", "version")

    def __init__(
        self,
        rows: Sequence[Row],
        owner: str,
        deadline: float,
        version: int,
        order: int,
        answered: "asyncio.Future[Sequence[Result | Exception]]",
    ) -> None:
        self.rows = rows
        self.owner = owner
        self.deadline = deadline
        self.version = version
        self.order = order  # in which it came
        self.answered = answered
        # Those of the slices that are back.
        self.results: list[Result | Exception] = []

    @property
    def rows_left(self) -> int:
        return len(self.rows) - len(self.results)

    @property
    def done(self) -> bool:
        """Whether it was answered, or its client has gone away."""
        return self.answered.done()

    def expire(self) -> None:
        self.fail(LateError())

    def finish(self, results: Sequence[Result | Exception]) -> None:
        if not self.answered.done():  # its client may have gone away
            self.answered.set_result(results)

    def fail(self, error: Exception) -> None:
        """End it; rows whose slices are back keep their answers, and the others get the error."""
        if self.results:
            self.finish([*self.results, *[error] * self.rows_left])
            return
        if not self.answered.done():
            self.answered.set_exception(error)


class Lane(Generic[Row, Result]):
    """Holds at most a few batches in flight; the rest waits, up to a bound, and then is refused."""

    def __init__(
        self,
        send: Callable[[list[Row]], Awaitable[Sequence[Result]]],
        limits: LaneLimits,
        clock: Callable[[], float],
        turns: Turns | None = None,
    ) -> None:
        """Take what knows of short questions in other lanes too; without it no slice rests."""
        self._turns = turns or Turns()
        self._send = send
        self._clock = clock
        self.limits = limits
        self._short: FairQueue[_Request[Row, Result]] = FairQueue()
        # Those that are not empty.
        self._numbered: dict[int, FairQueue[_Request[Row, Result]]] = {}
        self._asked = 0
        self._long: FairQueue[_Request[Row, Result]] = FairQueue()
        self._long_rows = 0
        self._expiry: Expiry[_Request[Row, Result]] = Expiry(clock)
        self._in_flight: set[asyncio.Task[None]] = set()
        # Those that are not slow, each with what will say that it is; of lanes that wait for them.
        self._quick: dict[asyncio.Task[None], asyncio.TimerHandle] = {}
        self._slice_in_flight: asyncio.Task[None] | None = None
        # Since they were last counted.
        self.refused_rows = 0

    @property
    def batches_in_flight(self) -> int:
        return len(self._in_flight) + (self._slice_in_flight is not None)

    @property
    def waiting_rows(self) -> int:
        return self._short_rows + self._long_rows

    @property
    def _short_rows(self) -> int:
        return self._short.weight + sum(each.weight for each in self._numbered.values())

    def starts_at_once(self) -> bool:
        """Tell whether a request that comes now is sent now, and shares its batch with none."""
        return not self.waiting_rows and not self.batches_in_flight

    def ask(
        self,
        rows: Sequence[Row],
        deadline: float,
        owner: str = "",
        version: int = 0,
        *,
        queue_number: int = 0,
    ) -> "asyncio.Future[Sequence[Result | Exception]]":
        """Queue the rows of one request; the future holds one result a row, in order.

        When its deadline is over, on the lane's clock, the future fails, wherever the rows are. Of
        a request of many rows those that were answered by then keep their results, and an error
        stands in the place of each other. Rows that wait beside the others do so in the queue with
        that number.
        """
        long = len(rows) > self.limits.slice_rows
        self._check_room(rows, owner, long=long)
        loop = asyncio.get_running_loop()
        self._asked += 1
        request: _Request[Row, Result] = _Request(
            rows, owner, deadline, version, self._asked, loop.create_future()
        )
        self._expiry.watch(request)
        if long:
            self._queue_long(request)
            self._dispatch_slice()
        else:
            self._queue(queue_number).add(owner, request, len(rows))
            self._dispatch()
        return request.answered

    async def drain(self) -> None:
        """Wait until nothing is in flight; new rows are still taken."""
        while self.batches_in_flight:
            slices = () if self._slice_in_flight is None else (self._slice_in_flight,)
            await asyncio.wait({*self._in_flight, *slices})

    def _check_room(self, rows: Sequence[Row], owner: str, *, long: bool) -> None:
        if long:
            room = self._long.has_room(owner, 1, MOST_LONG_REQUESTS)
        elif not self._numbered:
            room = self._short.has_room(owner, len(rows), self.limits.max_waiting_rows)
        else:
            queues, bound = (self._short, *self._numbered.values()), self.limits.max_waiting_rows
            room = have_room(queues, owner, len(rows), bound)
        if not room:
            self.refused_rows += len(rows)
            raise OverloadedError(
                f"{self.waiting_rows} rows are waiting; the limit is "
                f"{self.limits.max_waiting_rows} rows, or {MOST_LONG_REQUESTS} requests "
                f"of more than {self.limits.slice_rows} rows: try again in a second, or "
                "add gateway replicas"
            )

    def _dispatch(self) -> None:
        while (self._short or self._numbered) and self._may_send():
            requests = self._take()
            if not requests:  # all of this version were late, or gone
                continue
            task = asyncio.ensure_future(self._carry(requests))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)
            if self.limits.rows_beside_another > 1:
                self._let_others_wait(task)

    def _let_others_wait(self, task: "asyncio.Task[None]") -> None:
        """Have those that come now share the next batch, until this one is slow."""
        self._quick[task] = asyncio.get_running_loop().call_later(
            self.limits.slow_s, self._turned_slow, task
        )

    def _turned_slow(self, task: "asyncio.Task[None]") -> None:
        del self._quick[task]
        self._dispatch()

    def _may_send(self) -> bool:
        """Tell whether there is a slot, and whether those that wait may have it.

        Beside slow batches alone, the slots that are left are used as if they were all.
        """
        if len(self._in_flight) >= self.limits.batches_in_flight:
            return False
        if not self._quick:
            return True
        return self._short_rows >= self.limits.rows_beside_another

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self._in_flight.discard(task)
        if task in self._quick:
            self._quick.pop(task).cancel()
        self._dispatch()

    def _take(self) -> list[_Request[Row, Result]]:
        """Take requests of one version up to the cap; one larger than the cap travels alone."""
        taken: list[_Request[Row, Result]] = []
        rows, now = 0, self._clock()
        number, queue = self._next_queue()
        while queue:
            following = queue.peek()
            size = len(following.rows)
            if taken and (
                rows + size > self.limits.max_batch_rows or following.version != taken[0].version
            ):
                break
            request = queue.take()
            if request.deadline < now:  # its timer is late too: the loop was busy
                request.expire()
            elif not request.answered.done():  # its client is still there
                taken.append(request)
                rows += size
        if number and not queue:
            del self._numbered[number]
        return taken

    def _queue(self, number: int) -> FairQueue[_Request[Row, Result]]:
        return self._numbered.setdefault(number, FairQueue()) if number else self._short

    def _next_queue(self) -> tuple[int, FairQueue[_Request[Row, Result]]]:
        """Give the queue whose next request came first, with its number; one of all has one."""
        if not self._numbered:
            return 0, self._short
        queues = [*self._numbered.items(), *([(0, self._short)] if self._short else [])]
        return min(queues, key=lambda each: each[1].peek().order)

    async def _carry(self, requests: list[_Request[Row, Result]]) -> None:
        batch = [row for request in requests for row in request.rows]
        try:
            results = await self._send(batch)
        except Exception as error:  # noqa: BLE001 - whatever it was, each waiting client must hear of it
            for request in requests:
                request.fail(error)
            return
        at = 0
        for request in requests:
            request.finish(results[at : at + len(request.rows)])
            at += len(request.rows)

    def _queue_long(self, request: _Request[Row, Result]) -> None:
        self._long.add(request.owner, request, 1)
        self._long_rows += request.rows_left

    def _dispatch_slice(self) -> None:
        """Send the next slice: one at a time, in a slot of its own."""
        while self._long and self._slice_in_flight is None:
            request = self._long.take()
            self._long_rows -= request.rows_left
            if request.answered.done():
                continue
            self._slice_in_flight = asyncio.ensure_future(self._carry_slice_and_rest(request))
            self._slice_in_flight.add_done_callback(self._slice_landed)

    def _slice_landed(self, _: "asyncio.Task[None]") -> None:
        self._slice_in_flight = None
        self._dispatch_slice()

    async def _carry_slice_and_rest(self, request: _Request[Row, Result]) -> None:
        started = self._clock()
        await self._carry_slice(request)
        now = self._clock()
        slices_left = -(-self._long_rows // self.limits.slice_rows)
        deadline = min((each.deadline for each in self._long), default=now)
        rest_s = self._turns.rest_s(now - started, slices_left, deadline - now)
        if rest_s:
            await asyncio.sleep(rest_s)

    async def _carry_slice(self, request: _Request[Row, Result]) -> None:
        at = len(request.results)
        try:
            results = await self._send(list(request.rows[at : at + self.limits.slice_rows]))
        except Exception as error:  # noqa: BLE001 - as above
            request.fail(error)
            return
        if request.answered.done():
            return
        request.results += results
        if request.rows_left:
            self._queue_long(request)
        else:
            request.finish(request.results)
