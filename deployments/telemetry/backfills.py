"""Has stretches of the past fetched anew: asked for by somebody, done behind everything live.

What is fetched is known since the moment it is stored, so it changes nothing of what a training set
or a feature of an earlier moment says.
"""

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from config_store.sources import QueriedSource, SourceConfig
from deployments.history.source_questions import BackfillAsked, BackfillBegun
from deployments.telemetry.events import SourceEvents
from deployments.telemetry.place import SourcePlace
from deployments.telemetry.refetch import Piece, Refetch
from deployments.telemetry.remapping import rules_of
from features.errors import SourceRefusedError
from features.sources.source import Complaint, Source, add_up
from features.telemetry.backfills import BackfillStore, KeptBackfill
from features.telemetry.source_states import Backfill, BackfillState, ComplaintCount
from settings.redis_connection import REDIS_AWAY

DAY = 86_400
CHANGED = "its mapping or cadence was changed meanwhile: ask for it again"
NOTHING = "the source has nothing of that time, or all of it is to come"

log = logging.getLogger(__name__)


class Backfills:
    """The last backfill of each source; called from one event loop only."""

    def __init__(
        self, redis: Redis, store: Any, wall: Callable[[], float], keep_days: int = 0
    ) -> None:
        """Take for how many days measurements are kept; 0: for good."""
        self._kept_in = BackfillStore(redis)
        self._store = store
        self._wall = wall
        self._keep_days = keep_days
        self._kept: dict[str, KeptBackfill] = {}
        self._loaded = False
        self._refetches: dict[str, Refetch] = {}

    async def load(self) -> None:
        """Read what was under way when the process before this one ended."""
        if not self._loaded:
            self._kept = await self._kept_in.load()
            self._loaded = True

    async def keep_only(self, sources: Collection[str]) -> None:
        """Forget those of sources that are gone."""
        await self.load()
        gone = self._kept.keys() - set(sources)
        await self._kept_in.forget(gone)
        for each in gone:
            del self._kept[each]

    def of(self, source: str) -> Backfill | None:
        kept = self._kept.get(source)
        return None if kept is None else kept.shown

    async def begin(self, asked: BackfillAsked, config: SourceConfig) -> BackfillBegun:
        """Take it on, unless another one of this source is under way; the same one is this one."""
        await self.load()
        before = self._kept.get(asked.source)
        if before is not None and not before.shown.is_over:
            if before.asked == (asked.since, asked.until):
                return BackfillBegun(before.shown)
            return BackfillBegun(
                None,
                f"Another backfill of {asked.source} is {before.shown.state}: wait for its end, or "
                "cancel it first",
            )
        shown = Backfill(
            source=asked.source,
            state="queued",
            asked_at=self._wall(),
            since=asked.since,
            until=asked.until,
        )
        wanted = (asked.since, asked.until)
        kept = KeptBackfill(shown=shown, asked=wanted, rules=_rules(config))
        await self._kept_in.save(kept)
        self._kept[asked.source] = kept
        return BackfillBegun(shown)

    async def cancel(self, source: str) -> Backfill | None:
        """End it where it is; what was stored of it stays. None where there is none."""
        await self.load()
        kept = self._kept.get(source)
        if kept is None:
            return None
        if kept.shown.is_over:
            await self._kept_in.save(kept)  # its end may not be noted, where Redis was away
        else:
            await self._end(kept, "cancelled", None)
        return self.of(source)

    async def step(
        self, config: SourceConfig, place: SourcePlace, name: str, source: Source, newest: int
    ) -> bool:
        """Fetch the next piece, of what is stored live up to the interval `newest`."""
        try:
            await self.load()
            kept = self._kept.get(name)
            if kept is None or kept.shown.is_over:
                return False
            if kept.rules != _rules(config):
                return await self._end(kept, "failed", CHANGED)
            try:
                if kept.shown.reached is None:
                    return await self._start(kept, config, source, newest)
                return await self._go_on(kept, place, source)
            except SourceRefusedError as refused:  # of the past: what is live goes on
                return await self._end(kept, "failed", str(refused))
        except REDIS_AWAY as away:
            log.warning("How far the backfill of %s is cannot be noted: %r", name, away)
            return False

    async def _start(
        self, kept: KeptBackfill, config: SourceConfig, source: Source, newest: int
    ) -> bool:
        """Find out what can be had; what is live may not be overtaken."""
        cadence, shown, now = source.cadence_seconds, kept.shown, int(self._wall())
        oldest = await source.oldest()
        since = now - _history_days(config) * DAY if shown.since is None else shown.since
        if self._keep_days:
            since = max(since, now - self._keep_days * DAY)
        since = -(-max(since, oldest or 0) // cadence) * cadence
        until = min(newest + cadence, now if shown.until is None else shown.until)
        until = until // cadence * cadence
        if not self._is_current(kept):
            return True
        if oldest is None or since >= until:
            return await self._end(kept, "done", NOTHING, share=1.0)
        await SourceEvents(shown.source, self._store, self._wall).backfill_begun(
            shown.asked_at, _text(since), _text(until)
        )
        began = {"state": "running", "since": since, "until": until, "reached": until}
        self._refetches[shown.source] = Refetch(cadence)
        await self._change(kept, began)
        return True

    async def _go_on(self, kept: KeptBackfill, place: SourcePlace, source: Source) -> bool:
        shown = kept.shown
        if shown.since is None or shown.until is None or shown.reached is None:
            raise RuntimeError("a backfill goes on that has not begun")
        refetch = self._refetches.setdefault(shown.source, Refetch(source.cadence_seconds))
        piece = await refetch.piece(source, shown.since, shown.reached)
        if piece is None or not self._is_current(kept):
            return True
        if len(piece.gathered.telemetry) or piece.gathered.events:
            await place.take_in(piece.gathered, newest=False)
        wanted = shown.until - shown.since
        fetched = _with(shown, piece, 1 - max(piece.start - shown.since, 0) / wanted)
        if piece.start <= shown.since:
            return await self._end(kept, "done", None, **fetched)
        await self._change(kept, fetched)
        return True

    async def _end(
        self, kept: KeptBackfill, state: BackfillState, reason: str | None, **changes: Any
    ) -> bool:
        if not self._is_current(kept):  # it was cancelled meanwhile
            return True
        at = self._wall()
        ended = {**changes, "state": state, "reason": reason, "ended_at": at}
        await self._change(kept, ended)
        self._refetches.pop(kept.shown.source, None)
        rows = changes.get("rows", kept.shown.rows)
        outcome = f"{state}, {rows} rows" + (f"; {reason}" if reason else "")
        await SourceEvents(kept.shown.source, self._store, self._wall).backfill_ended(at, outcome)
        return True

    def _is_current(self, kept: KeptBackfill) -> bool:
        return self._kept.get(kept.shown.source) is kept

    async def _change(self, kept: KeptBackfill, changes: dict[str, Any]) -> None:
        if self._is_current(kept):
            shown = kept.shown.model_copy(update=changes)
            await self._save(kept.model_copy(update={"shown": shown}))

    async def _save(self, kept: KeptBackfill) -> None:
        # First here: where Redis is away it goes on, and is noted with the next piece.
        self._kept[kept.shown.source] = kept
        await self._kept_in.save(kept)


def can_be_asked_again(config: SourceConfig) -> bool:
    """Tell whether a source has a past that can be fetched anew, as often as one likes."""
    return isinstance(config, QueriedSource)


def _with(shown: Backfill, piece: Piece, share: float) -> dict[str, Any]:
    """Give what a piece changes."""
    before = (Complaint(each.fault, each.count, each.example) for each in shown.complaints)
    complaints = add_up([*before, *piece.gathered.complaints])
    return {
        "reached": piece.start,
        "share": share,
        "rows": shown.rows + len(piece.gathered.telemetry),
        "complaints": tuple(
            ComplaintCount(fault=each.fault, count=each.count, example=each.example)
            for each in complaints
        ),
    }


def _history_days(config: SourceConfig) -> int:
    return config.history_days if isinstance(config, QueriedSource) else 0


def _rules(config: SourceConfig) -> str:
    rules = rules_of(config)
    return f"{config.cadence_seconds} {'' if rules is None else rules.model_dump_json()}"


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
