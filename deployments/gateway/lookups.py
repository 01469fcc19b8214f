"""Finds decisions by their ids: lookups that come while one is on its way share the next one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from deployments.api.errors import NotFoundError, RefusedError, UnavailableError
from deployments.gateway.lane import Lane, LaneLimits
from deployments.history import client as history

# One question of two dozen ids costs the history little more than one of a single id. So a few wait
# for the one that is on its way, and share the next.
LIMITS = LaneLimits(
    max_batch_rows=64, batches_in_flight=2, max_waiting_rows=4096, rows_beside_another=16
)
PATIENCE_SECONDS = 15.0
# A question each: what is found must not wait for what is not. The history walks once for all.
SEARCH_LIMITS = LaneLimits(max_batch_rows=1, batches_in_flight=64, max_waiting_rows=4096)
# Of the history, which then says how far it came; the gateway waits for that a little longer.
SEARCH_SECONDS = 8.0
GRACE_SECONDS = 1.0

Ask = Callable[..., Awaitable[Any]]
Answer = bytes | RefusedError


class DecisionLookups:
    """One for each gateway replica."""

    def __init__(
        self,
        clock: Callable[[], float],
        ask: Ask = history.ask,
        spooled: Callable[[], int] = lambda: 0,
        limits: LaneLimits = LIMITS,
    ) -> None:
        """Take also how many of this gateway's own entries wait for Redis, where nobody looks."""
        self._clock = clock
        self._ask = ask
        self._spooled = spooled
        self._lane: Lane[str, Answer | None] = Lane(self._find, limits, clock)
        self._searches: Lane[tuple[str, float], Answer] = Lane(self._search, SEARCH_LIMITS, clock)

    async def row(self, decision_id: str, key_id: str = "") -> bytes:
        """Give the decision as it was written down; raises NotFoundError, UnavailableError.

        The keys of those who ask take turns.
        """
        deadline = self._clock() + PATIENCE_SECONDS
        (found,) = await self._lane.ask([decision_id], deadline, key_id)
        if found is None:
            (found,) = await self._searches.ask([(decision_id, deadline)], deadline, key_id)
        if isinstance(found, Exception):
            raise found
        return found

    async def _find(self, ids: list[str]) -> Sequence[Answer | None]:
        """Ask for what is found at once; none for what must be searched for."""
        waiting = self._spooled()  # before the question: it may have been emptied meanwhile
        rows, trouble, unsearched = await self._ask("rows", ids)
        unsearched = set(unsearched)
        return [
            None if each in unsearched else rows.get(each) or _why_not(each, trouble, waiting)
            for each in ids
        ]

    async def _search(self, asked: list[tuple[str, float]]) -> Sequence[Answer]:
        ((decision_id, deadline),) = asked
        waiting = self._spooled()
        within_s = min(SEARCH_SECONDS, deadline - self._clock())
        rows, trouble, _ = await self._ask(
            "search", decision_id, within_s, within_s=within_s + GRACE_SECONDS
        )
        return [rows.get(decision_id) or _why_not(decision_id, trouble, waiting)]


def _why_not(decision_id: str, trouble: str | None, waiting: int) -> RefusedError:
    if trouble is None and waiting:
        trouble = f"{waiting} of its entries wait for Redis"
    if trouble is not None:
        return UnavailableError(f"The ledger cannot be read in full at present: {trouble}")
    return NotFoundError(f"There is no decision {decision_id} in the ledger")
