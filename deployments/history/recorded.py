"""What was recorded, as the history tells it: decisions, violations, proofs and the timeline."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from redis.asyncio import Redis

from deployments.history.questions import FoundDecisions
from observability.clickhouse import Clickhouse
from observability.ledger.lookup import FoundRows, Lookup
from observability.timeline import store as timeline_store
from observability.timeline.kinds import Kind
from observability.timeline.store import Page

# While the stream is long it may be read from end to end for a proof, but not for those who left.
PROOF_SECONDS = 8.0


class Recorded:
    """Reads the ledger, in Redis and in the archive, and the timeline."""

    def __init__(self, redis: Redis, store: Clickhouse) -> None:
        self._store = store
        self._lookup = Lookup(redis, store)

    async def rows(self, decision_ids: list[str]) -> FoundDecisions:
        return _for_gateways(await self._lookup.rows(decision_ids))

    async def search(self, decision_id: str, within_s: float) -> FoundDecisions:
        """Look for a decision that `rows` left unsearched; after so long nobody waits for it."""
        return _for_gateways(await self._lookup.search(decision_id, within_s))

    async def decisions(
        self, limit: int, family: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        return await self._lookup.newest(limit, family=family, since=since)

    async def violations(
        self, limit: int, family: str | None, severity: str | None, since: datetime | None
    ) -> list[dict[str, Any]]:
        """List the latest decisions that broke a limit."""
        return await self._lookup.violations(limit, family=family, severity=severity, since=since)

    async def proof(self, decision_id: str) -> dict[str, Any] | None:
        async with asyncio.timeout(PROOF_SECONDS):
            found = await self._lookup.proof(decision_id)
        return None if found is None else found.to_json()

    async def timeline(
        self,
        limit: int,
        *,
        since: datetime | None,
        until: datetime | None,
        kinds: Sequence[Kind],
        entity: str | None,
        before: str | None,
    ) -> Page:
        """Read what changed, newest first; `before` is the `next` of the page in front."""
        return await asyncio.to_thread(
            partial(
                timeline_store.read,
                self._store,
                limit,
                since=since,
                until=until,
                kinds=kinds,
                entity=entity,
                before=before,
            )
        )


def _for_gateways(found: FoundRows) -> FoundDecisions:
    trouble = None if found.trouble is None else str(found.trouble)
    return FoundDecisions(found.rows, trouble, found.unsearched)
