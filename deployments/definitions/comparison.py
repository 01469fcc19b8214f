"""A changed definition before it is in force: what it gives beside what the one in force gives.

Both are computed by the code that makes training sets, of the latest telemetry that is stored.
"""

from collections.abc import Callable, Collection
from contextlib import ExitStack, closing
from typing import NamedTuple

import numpy as np

from features.candidates.bounds import CandidateBounds
from features.candidates.compared import Figure, VersionRows, compare
from features.datasets.build import Builder, Wanted
from features.datasets.kept import follows_from_streams
from features.datasets.spine import Spine
from features.definitions.catalogue import Catalogue
from features.errors import FunctionFailedError
from features.functions.evaluated import Functions
from features.functions.kept import KeptModules
from features.store import PUBLISHED_SECONDS
from features.telemetry.tables import ColumnStore
from features.vectors.computed import Facts

MINUTE = 60
# Drawn by their names' hash: of more the figures say no more.
MOST_ENTITIES = 200
# So long after an interval began it is known and published.
KNOWN_SECONDS = 300

_NEWEST = """
SELECT toUnixTimestamp(max(ts)) AS newest, count() AS rows FROM measurements
WHERE ts > toDateTime({since:Int64}) AND ts <= toDateTime({until:Int64})
"""
_ENTITIES = """
SELECT entity FROM measurements
WHERE ts > toDateTime({since:Int64}) AND ts <= toDateTime({until:Int64})
GROUP BY entity ORDER BY cityHash64(entity) LIMIT {most:Int64}
"""


class Comparison(NamedTuple):
    """What was compared."""

    figures: tuple[Figure, ...] = ()
    refusal: str = ""
    """Why the new one cannot be computed at all."""
    slow: str = ""
    """Why the one in force could not be computed in time."""


class Versions(NamedTuple):
    """The definitions in force, the configured ones, and whose values may differ."""

    before: Catalogue
    after: Catalogue
    names: Collection[str]


class DefinitionsComparison:
    """Compares definitions on stored telemetry; in a thread, since it takes some seconds."""

    def __init__(
        self,
        store: ColumnStore,
        kept: KeptModules,
        seconds: Callable[[], float],
        facts_of: Callable[[str], Facts],
    ) -> None:
        self._store = store
        self._kept = kept
        self._seconds = seconds
        self._facts_of = facts_of

    def compared(self, versions: Versions, bounds: CandidateBounds, now: float) -> Comparison:
        """Compare two versions; without any figure there is nothing to compare with."""
        names = [
            name
            for name in sorted(versions.names)
            if not any(_has_no_past(each, name) for each in (versions.before, versions.after))
        ]
        spine = self._latest(bounds.intervals, now)
        if not names or spine is None:
            return Comparison()
        with ExitStack() as stack:
            try:
                before = self._given(stack, versions.before, names, spine, bounds)
            except FunctionFailedError as failed:
                return Comparison(slow=str(failed) if failed.is_slow else "")
            if not len(before.entity):
                return Comparison()
            try:
                after = self._given(stack, versions.after, names, spine, bounds)
            except FunctionFailedError as failed:
                return Comparison(refusal=str(failed))
        return Comparison(compare(before, after, bounds))

    def _latest(self, intervals: int, now: float) -> Spine | None:
        """Name the latest whole minutes of which something is stored, of each entity."""
        params = {"since": int(now) - PUBLISHED_SECONDS, "until": int(now)}
        (found,) = self._store.query(_NEWEST, params)
        if not int(found["rows"]):
            return None
        last = min(int(now), int(found["newest"]) + KNOWN_SECONDS) // MINUTE * MINUTE
        since = last - intervals * MINUTE
        params = {"since": since - KNOWN_SECONDS, "until": last, "most": MOST_ENTITIES}
        entities = sorted(str(row["entity"]) for row in self._store.query(_ENTITIES, params))
        moments = np.arange(since + MINUTE, last + 1, MINUTE, dtype=np.int64) * 1000
        return Spine(np.repeat(entities, len(moments)), np.tile(moments, len(entities)))

    def _given(
        self,
        stack: ExitStack,
        catalogue: Catalogue,
        names: list[str],
        spine: Spine,
        bounds: CandidateBounds,
    ) -> VersionRows:
        """Compute the features; only rows with a number count."""
        functions = Functions(self._kept, self._seconds, must_give=True)
        stack.enter_context(closing(functions))
        wanted = Wanted(catalogue, tuple(names), self._facts_of, functions)
        values = np.full((len(spine), len(names)), np.nan)
        for made in Builder(self._store, wanted, spine).made():
            values[made.places] = made.features.values
        there = np.isfinite(values).any(axis=1)
        columns = dict(zip(names, values[there].T, strict=True))
        return VersionRows(spine.entity[there], columns, bounds.intervals)


def _has_no_past(catalogue: Catalogue, name: str) -> bool:
    return name not in catalogue.by_name or follows_from_streams(catalogue, name)
