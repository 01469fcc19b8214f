"""Finds decisions, drained or not, and proves that they are in the ledger.

What has no answer yet is in a spool (Redis was away) or was never acknowledged.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseError, LedgerUnavailableError
from observability.ledger.archive import VIOLATED, Archive, level_mark
from observability.ledger.entry import Entry
from observability.ledger.lag import last_id, noted_id, order
from observability.ledger.proof import Link, Proof, prove
from observability.ledger.recent import RecentRows
from observability.ledger.search import StreamSearch
from observability.ledger.stream import LedgerStream, Message, readable
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

SEARCH_SECONDS = 8.0
VIOLATIONS_OF = timedelta(days=1)

# What a row of the audit has at least; null where it does not apply.
AUDIT_FIELDS = (
    "timestamp",
    "decision_id",
    "endpoint",
    "entity",
    "timeframe",
    "regime",
    "regime_confidence",
    "signal_prob",
    "allowed",
    "decision_reasons",
    "processing_time_ms",
    "config_hash",
    "model_version",
)


@dataclass(frozen=True, slots=True)
class _Found:
    entry: Entry
    leaf: int
    successor: Entry | None


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Rows by their ids. Where there was trouble, what is not among them may exist all the same.

    So may what is unsearched, in a part of the stream that takes long to look through: `search`.
    """

    rows: dict[str, bytes]
    trouble: ClickhouseError | LedgerUnavailableError | None = None
    unsearched: tuple[str, ...] = ()


class Lookup:
    """Reads the ledger's two parts as one.

    While one part is away its error (ClickhouseError, LedgerUnavailableError) is raised only where
    the other part does not hold the answer.
    """

    def __init__(self, redis: Redis, store: Clickhouse, *, stream: str | None = None) -> None:
        self._redis = redis
        self._stream = LedgerStream(redis, name=stream)
        self._recent = RecentRows(self._stream)
        self._search = StreamSearch(self._stream, lambda: self._recent.oldest)
        self._archive = Archive(store)

    async def find(self, decision_id: str) -> dict[str, Any] | None:
        """Find the decision with this id, as it was recorded."""
        found = await self.rows([decision_id])
        if found.unsearched:
            found = await self.search(decision_id, SEARCH_SECONDS)
        row = found.rows.get(decision_id)
        if row is None and found.trouble is not None:
            raise found.trouble
        return None if row is None else orjson.loads(row)

    async def rows(self, decision_ids: Sequence[str]) -> FoundRows:
        """Find the rows of many decisions at once, as they were recorded.

        It takes no longer where one of them is unknown: what is found waits for nothing else.
        """
        unseen = await self._refresh_recent()
        rows = {each: row for each in decision_ids if (row := self._recent.get(each)) is not None}
        missing = [each for each in decision_ids if each not in rows]
        if not missing:
            return FoundRows(rows)
        older = await self._older(missing, unseen)
        return FoundRows(rows | older.rows, older.trouble, older.unsearched)

    async def search(self, decision_id: str, within_s: float) -> FoundRows:
        """Look for a decision that `rows` left unsearched, for so long and not longer."""
        limit = asyncio.timeout(within_s)
        trouble: ClickhouseError | LedgerUnavailableError
        try:
            async with limit:
                return FoundRows(await self._searched(decision_id))
        except REDIS_AWAY as error:
            trouble = _unfinished(within_s) if limit.expired() else _unavailable(error)
        except ClickhouseError as error:
            trouble = error
        return FoundRows({}, trouble)

    async def _searched(self, decision_id: str) -> dict[str, bytes]:
        row = await self._search.find(decision_id)
        if row is not None:
            return {decision_id: row}
        # What was drained and trimmed in front of the search is in the archive by now.
        return await asyncio.to_thread(self._archive.rows, [decision_id])

    async def _refresh_recent(self) -> LedgerUnavailableError | None:
        try:
            await self._recent.refresh()
        except REDIS_AWAY as error:
            return _unavailable(error)
        return None

    async def _older(
        self, decision_ids: Sequence[str], unseen: LedgerUnavailableError | None
    ) -> FoundRows:
        """Find what is not among the recent rows; `unseen` says why these may be incomplete."""
        drained = None
        try:
            # First: what is drained after the archive was asked would be missing in both.
            drained = None if unseen else await noted_id(self._redis, self._stream.name)
        except REDIS_AWAY as error:
            unseen = _unavailable(error)
        rows, trouble = await self._archived(decision_ids)
        missing = tuple(each for each in decision_ids if each not in rows)
        if unseen or not missing:
            return FoundRows(rows, trouble or unseen)
        try:
            searched = await self._recent_reach(drained)
        except REDIS_AWAY as error:
            return FoundRows(rows, trouble or _unavailable(error))
        return FoundRows(rows, trouble, () if searched else missing)

    async def _archived(
        self, decision_ids: Sequence[str]
    ) -> tuple[dict[str, bytes], ClickhouseError | None]:
        try:
            return await asyncio.to_thread(self._archive.rows, decision_ids), None
        except ClickhouseError as error:
            return {}, error

    async def _recent_reach(self, drained: str | None) -> bool:
        """Tell whether the recent rows are all that the stream holds and the archive may not."""
        latest = await last_id(self._redis, self._stream.name)
        if drained is not None and latest is not None and order(latest) < order(drained):
            drained = None  # Redis began anew, and its ids are lower
        if drained is None:
            oldest = await self._stream.read(None, 1)
            drained = oldest[0].id if oldest else None
        return self._recent.covers(drained, latest)

    async def newest(
        self, limit: int, *, family: str | None = None, since: datetime | None = None
    ) -> list[dict[str, Any]]:
        """List the latest decisions, newest first, each with every field of the audit.

        Without Redis the last seconds are missing from the list.
        """
        try:
            undrained = await self._newest_in_stream(limit, family, since)
        except LedgerUnavailableError as error:
            log.warning("the list of decisions lacks the latest ones: %s", error)
            undrained = {}
        drained = await asyncio.to_thread(self._archive.newest, limit, family, since)
        decisions = {row["decision_id"]: row for row in map(orjson.loads, drained)} | undrained
        latest = sorted(decisions, reverse=True)[:limit]
        return [dict.fromkeys(AUDIT_FIELDS) | decisions[each] for each in latest]

    async def violations(
        self,
        limit: int,
        *,
        family: str | None = None,
        severity: str | None = None,
        since: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """List the latest decisions that broke a limit, newest first; of a day where left out.

        Without Redis the last seconds are missing from the list.
        """
        since = since or datetime.now(UTC) - VIOLATIONS_OF
        marks = [VIOLATED] if severity is None else [VIOLATED, level_mark(severity)]
        try:
            undrained = await self._newest_in_stream(
                limit, family, since, marks, lambda row: _broke(row, severity)
            )
        except LedgerUnavailableError as error:
            log.warning("the list of violations lacks the latest ones: %s", error)
            undrained = {}
        drained = await asyncio.to_thread(self._archive.violations, limit, family, severity, since)
        decisions = {row["decision_id"]: row for row in map(orjson.loads, drained)} | undrained
        latest = sorted(decisions, reverse=True)
        return [found for each in latest if _broke(found := decisions[each], severity)][:limit]

    async def proof(self, decision_id: str) -> Proof | None:
        """Prove that the decision is in the ledger; none if it is not."""
        position = await asyncio.to_thread(self._archive.position, decision_id)
        if position is not None:
            entry = await asyncio.to_thread(self._archive.entry, position.writer, position.seq)
            if entry is not None:
                return prove(
                    entry, position.leaf, await self._link(position.writer, position.seq + 1)
                )
        # Not drained, or its drain was killed half way: then the stream still has it.
        found = await self._in_stream(decision_id)
        if found is None:
            return None
        successor = None if found.successor is None else Link.of(found.successor)
        return prove(found.entry, found.leaf, successor)

    async def _link(self, writer: str, seq: int) -> Link | None:
        stored = await asyncio.to_thread(self._archive.link, writer, seq)
        return stored or await self._link_in_stream(writer, seq)

    async def _in_stream(self, decision_id: str) -> _Found | None:
        quoted = f'"{decision_id}"'.encode()
        after: dict[str, Entry] = {}
        async for message in self._newest_first():
            entry = readable(message)
            if entry is None:
                continue
            if quoted in message.data:
                for leaf, row in enumerate(entry.rows):
                    if quoted in row and orjson.loads(row).get("decision_id") == decision_id:
                        return _Found(entry, leaf, _next(entry, after))
            after[entry.header.writer] = entry
        return None

    async def _link_in_stream(self, writer: str, seq: int) -> Link | None:
        async for message in self._newest_first():
            entry = readable(message)
            if entry is not None and (entry.header.writer, entry.header.seq) == (writer, seq):
                return Link.of(entry)
        return None

    async def _newest_first(self) -> AsyncIterator[Message]:
        try:
            async for message in self._stream.newest_first():
                yield message
        except REDIS_AWAY as error:
            raise _unavailable(error) from error

    async def _newest_in_stream(
        self,
        limit: int,
        family: str | None,
        since: datetime | None,
        marks: Sequence[bytes] = (),
        wanted: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, dict[str, Any]]:
        """Find the newest in the stream; what lacks one of the marks is not even parsed."""
        found: dict[str, dict[str, Any]] = {}
        async for message in self._newest_first():
            entry = readable(message)
            if entry is None or (since and entry.header.created_ms < since.timestamp() * 1000):
                continue
            rows = [row for row in entry.rows if all(mark in row for mark in marks)]
            for row in map(orjson.loads, rows):
                if "shadow_of" in row:  # no client got it
                    continue
                if (family is None or row.get("family") == family) and wanted(row):
                    found[row["decision_id"]] = row
            if len(found) >= limit:
                break
        return found


def _broke(decision: dict[str, Any], severity: str | None) -> bool:
    """Tell whether a decision broke a limit; a mark may be part of what a client wrote."""
    try:
        found = decision["answer"]["safety"]["violations"]
        return any(severity in (None, each["level"]) for each in found)
    except (KeyError, TypeError):
        return False


def _unavailable(error: Exception) -> LedgerUnavailableError:
    return LedgerUnavailableError(
        f"the latest part of the ledger cannot be read because Redis cannot be reached: {error!r}"
    )


def _unfinished(within_s: float) -> LedgerUnavailableError:
    return LedgerUnavailableError(
        f"what is not in ClickHouse yet is too much to be looked through within {within_s:g} s"
    )


def _next(entry: Entry, after: dict[str, Entry]) -> Entry | None:
    """Pick the entry that continues this one, if it was met on the way (newest first) to it."""
    candidate = after.get(entry.header.writer)
    if candidate is None or candidate.header.seq != entry.header.seq + 1:
        return None
    return candidate
