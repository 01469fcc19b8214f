"""Finds decisions by their ids: lookups that come while one is on its way share the next one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from deployments.api.errors import NotFoundError, RefusedError, UnavailableError
from deployments.gateway.lanes.lane import Lane, LaneLimits
from deployments.history.client import HistoryDecisions
from deployments.history.questions import FoundDecisions
from settings.redis_connection import REDIS_AWAY

# One question of two dozen ids costs the history little more than one of a single id. So a few wait
# for the one that is on its way, and share the next.
LIMITS = LaneLimits(
    max_batch_rows=64, batches_in_flight=2, max_waiting_rows=4096, rows_beside_another=16
)
PATIENCE_SECONDS = 15.0
# A question each: what is found must not wait for what is not. The history walks once for all.
SEARCH_LIMITS = LaneLimits(max_batch_rows=1, batches_in_flight=64, max_waiting_rows=4096)
# Of the history, which then says how far it came.
SEARCH_SECONDS = 8.0

Answer = bytes | RefusedError


class Archive(Protocol):
    """Where decisions are looked up: what is found at once, and what must be searched for."""

    async def rows(self, decision_ids: list[str]) -> FoundDecisions: ...

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions: ...


async def _nowhere(_: str) -> None:
    """Answer for a gateway without spools."""


class DecisionLookups:
    """One for each gateway replica."""

    def __init__(
        self,
        clock: Callable[[], float],
        archive: Archive = HistoryDecisions(),  # noqa: B008 - it holds nothing
        why_waiting: Callable[[str], Awaitable[str | None]] = _nowhere,
        limits: LaneLimits = LIMITS,
    ) -> None:
        """Take what says why a decision may be in a spool, where the history does not look."""
        self._clock = clock
        self._archive = archive
        self._why_waiting = why_waiting
        self._lane: Lane[str, Answer | None] = Lane(self._find, limits, clock)
        self._searches: Lane[tuple[str, float], Answer] = Lane(self._search, SEARCH_LIMITS, clock)

    async def row(self, decision_id: str, key_id: str = "") -> bytes:
        """Give the decision as it was written down; raises NotFoundError, UnavailableError.

        The keys of those who ask take turns.
        """
        deadline = self._clock() + PATIENCE_SECONDS
        (found,) = await self._lane.ask([decision_id], deadline, key_id)
        if found is None or isinstance(found, NotFoundError):
            found = await self._look_again(decision_id, deadline, key_id)
        if isinstance(found, Exception):
            raise found
        return found

    async def _look_again(
        self, decision_id: str, deadline: float, key_id: str
    ) -> bytes | Exception:
        """Look at the spools, once more at what is found at once, and then at all the rest.

        In this order: what was in a spool at the first look, and is in none now, is in the ledger.
        """
        why = await self._why_spooled(decision_id)
        (found,) = await self._lane.ask([decision_id], deadline, key_id)
        if found is None:
            (found,) = await self._searches.ask([(decision_id, deadline)], deadline, key_id)
        return _why_not(decision_id, why) if isinstance(found, NotFoundError) else found

    async def _why_spooled(self, decision_id: str) -> str | None:
        try:
            return await self._why_waiting(decision_id)
        except REDIS_AWAY as error:
            return f"what waits in the spools is not known: Redis cannot be reached ({error!r})"

    async def _find(self, ids: list[str]) -> Sequence[Answer | None]:
        """Ask for what is found at once; none for what must be searched for."""
        found = await self._archive.rows(ids)
        unsearched = set(found.unsearched)
        return [
            None if each in unsearched else found.rows.get(each) or _why_not(each, found.trouble)
            for each in ids
        ]

    async def _search(self, asked: list[tuple[str, float]]) -> Sequence[Answer]:
        ((decision_id, deadline),) = asked
        within_s = min(SEARCH_SECONDS, deadline - self._clock())
        found = await self._archive.search(decision_id, within_s)
        return [found.rows.get(decision_id) or _why_not(decision_id, found.trouble)]


def _why_not(decision_id: str, trouble: str | None) -> RefusedError:
    if trouble is not None:
        return UnavailableError(f"The ledger cannot be read in full at the moment: {trouble}")
    return NotFoundError(f"There is no decision {decision_id} in the ledger")
