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

Ask = Callable[..., Awaitable[Any]]


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
        self._lane: Lane[str, bytes | RefusedError] = Lane(self._find, limits, clock)

    async def row(self, decision_id: str, key_id: str = "") -> bytes:
        """Give the decision as it was written down; raises NotFoundError, UnavailableError.

        The keys of those who ask take turns.
        """
        deadline = self._clock() + PATIENCE_SECONDS
        (found,) = await self._lane.ask([decision_id], deadline, key_id)
        if isinstance(found, Exception):
            raise found
        return found

    async def _find(self, ids: list[str]) -> Sequence[bytes | RefusedError]:
        waiting = self._spooled()  # before the question: it may have been emptied meanwhile
        rows, trouble = await self._ask("rows", ids)
        if trouble is None and waiting:
            trouble = f"{waiting} of its entries wait for Redis"
        return [rows.get(each) or _why_not(each, trouble) for each in ids]


def _why_not(decision_id: str, trouble: str | None) -> RefusedError:
    if trouble is not None:
        return UnavailableError(f"The ledger cannot be read in full at present: {trouble}")
    return NotFoundError(f"There is no decision {decision_id} in the ledger")
