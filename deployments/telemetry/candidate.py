"""A changed mapping before it is followed: what it gives beside what the one in force gave.

The source is asked for the latest intervals by the new mapping, and nothing of the answer is kept.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from config_store.sources import QueriedSource
from deployments.telemetry.building import queried_source
from deployments.telemetry.followed import REFUSED_SECONDS, SETTLED_SECONDS
from deployments.telemetry.remapping import mapping_id, mapping_of
from features.candidates.bounds import CandidateBounds
from features.candidates.compared import Figure, VersionRows, compare, outside
from features.errors import SourceAwayError, SourceRefusedError
from features.sources.source import Source
from features.telemetry.by_source import extent, measured_by
from features.telemetry.source_states import HeldBack

# As late the mapping in force may be, and its numbers are of the same intervals.
LATEST_INTERVALS = 3
AGAIN_SECONDS = 10.0
# So long the mapping in force may take to catch up with what passed while the platform was down.
CATCH_UP_SECONDS = 30.0
# Events and states show so many figures; all of them are in the state of the source.
MOST_SHOWN = 5
NEW = "The configured mapping is compared with the one in force, which goes on"


class Candidate:
    """One changed mapping; `step` compares it, and tells `decided` once that is done."""

    def __init__(
        self,
        name: str,
        config: QueriedSource,
        good: QueriedSource,
        known_from_ms: int,
        bounds: CandidateBounds,
        store: Any,
        wall: Callable[[], float],
        decided: asyncio.Event,
    ) -> None:
        """Take the source as it is configured, and by the mapping that is in force since then."""
        self.name = name
        self.config = config
        self.bounds = bounds
        self.since = wall()
        self.figures: tuple[Figure, ...] | None = None
        self.refusal = ""
        self.trouble = ""
        self._good = good
        self._known_from_ms = known_from_ms
        self._store = store
        self._wall = wall
        self._decided = decided

    @property
    def accepted(self) -> bool:
        return self.figures is not None and not outside(self.figures)

    @property
    def refused(self) -> bool:
        return bool(self.refusal or outside(self.figures or ()))

    @property
    def reason(self) -> str:
        """Say in a few words what was found."""
        if self.refusal:
            return f"the source refuses what it asks: {self.refusal}"
        far = outside(self.figures or ())
        if not far:
            return f"{len(self.figures or ())} figures are within their bounds"
        further = f"; and {len(far) - MOST_SHOWN} more" if len(far) > MOST_SHOWN else ""
        return "; ".join(map(str, far[:MOST_SHOWN])) + further

    @property
    def held_back(self) -> HeldBack:
        name = mapping_id(self.config)
        why = f"{NEW}. {self.trouble}".strip()
        if self.refused:
            why = f"The mapping {name} is held back, the one before goes on: {self.reason}"
        return HeldBack(
            id=name,
            since=self.since,
            why=why,
            refused=self.refused,
            figures=self.figures or (),
        )

    def pause_seconds(self) -> float:
        return REFUSED_SECONDS if self.accepted or self.refused else AGAIN_SECONDS

    async def step(self) -> None:
        if self.accepted or self.refused:
            return
        before = await asyncio.to_thread(self._before)
        if before is None and self._wall() - self.since < CATCH_UP_SECONDS:
            return
        try:
            after = await self._after(whole=before is not None)
        except SourceAwayError as away:
            self.trouble = str(away)
            return
        except SourceRefusedError as refused:
            self.refusal = str(refused)
        else:
            if before is None:
                before = await asyncio.to_thread(self._last_given)
            self.figures = compare(before, after, self.bounds)
        self.since = self._wall()
        self._decided.set()

    def _stop(self) -> int:
        """Give the end of the last interval of which all that counts has come."""
        late = getattr(self.config, "lateness_seconds", 0)
        cadence = self.config.cadence_seconds
        return int(self._wall() - SETTLED_SECONDS - late) // cadence * cadence - cadence

    async def _after(self, *, whole: bool) -> VersionRows:
        """Ask by the new mapping; where its series are new it need not have given `whole` hours."""
        stop, cadence = self._stop(), self.config.cadence_seconds
        source: Source = queried_source(self.name, self.config, self._wall)
        try:
            gathered = await source.range(stop - self.bounds.intervals * cadence, stop)
        finally:
            await source.close()
        rows = gathered.telemetry
        columns = {each: rows.columns()[each] for each in _metrics(self.config)}
        given = len(np.unique(rows.ts))
        return VersionRows(rows.entity, columns, self.bounds.intervals if whole else max(given, 1))

    def _before(self) -> VersionRows | None:
        """Give what is stored of the same intervals; None where the latest are not there."""
        stop, cadence = self._stop(), self.config.cadence_seconds
        start = stop - self.bounds.intervals * cadence
        rows = self._stored(start, stop)
        times = np.unique(rows["at"])
        if len(times) == 0 or times[-1] < stop - LATEST_INTERVALS * cadence:
            return None
        # The cadence may have been another one until now.
        step = int(np.diff(times).min()) if len(times) > 1 else cadence
        return self._gather(rows, max((stop - start) // step, 1))

    def _last_given(self) -> VersionRows:
        """Give the last that is stored, where the series ended since."""
        found = extent(self._store, self.name, self._known_from_ms)
        stop = 0 if found is None else found.newest + 1
        start = stop - self.bounds.intervals * self.config.cadence_seconds
        rows = self._stored(max(start, 0), stop)
        return self._gather(rows, max(len(np.unique(rows["at"])), 1))

    def _stored(self, start: int, stop: int) -> dict[str, Any]:
        return measured_by(self._store, self.name, start, stop, self._known_from_ms)

    def _gather(self, rows: dict[str, Any], intervals: int) -> VersionRows:
        columns = {each: rows[each] for each in _metrics(self._good)}
        return VersionRows(rows["entity"], columns, intervals)


def _metrics(config: QueriedSource) -> list[str]:
    return [*mapping_of(config).metrics]
