"""Finds deploys in the start times of processes, as the PromQL for deploys does."""

from typing import NamedTuple

import numpy as np

from features.sources.prometheus.promql import (
    REPLACED_SHARE,
    WAVERING_SECONDS,
    counted_seconds,
    lookback_seconds,
)
from features.sources.remote_write.editions import Edition
from features.sources.remote_write.log import Columns
from features.sources.remote_write.registry import Columns as Selected
from features.sources.remote_write.registry import Registry
from features.sources.remote_write.vectors import LOOKBACK_MS, Latest, OfSeries, within
from features.sources.rules import Mapping
from features.telemetry.columns import Bools, Floats, Ints


def needed_seconds(cadence_seconds: int) -> int:
    """Tell how long before an interval's begin samples still count for its deploy."""
    return lookback_seconds(cadence_seconds) + LOOKBACK_MS // 1000


def deploys(
    registry: Registry,
    mapping: Mapping,
    samples: Columns,
    end_seconds: int,
    cadence_seconds: int,
    edition: Edition,
) -> Bools:
    """Tell of which entities a deploy began in the interval."""
    if mapping.deploys is None:
        return np.zeros(len(registry.entities), np.bool_)
    starts = _Starts(
        registry, registry.select(mapping.deploys), samples, end_seconds, cadence_seconds, edition
    )
    found = starts.replaced()
    if mapping.version_label is not None:
        found |= starts.another(registry.values(mapping.version_label))
    return found


class _Before(NamedTuple):
    """The samples of the interval before and a while back: their series, and their values."""

    rows: Ints
    values: Floats


class _Starts:
    """The start times of the processes, now and before."""

    def __init__(
        self,
        registry: Registry,
        selected: Selected,
        samples: Columns,
        end_seconds: int,
        cadence_seconds: int,
        edition: Edition,
    ) -> None:
        self._series, self._count = len(registry), len(registry.entities)
        self._selected, self._edition = selected, edition
        self._samples, self._cadence = samples, cadence_seconds
        self._entity_of = np.zeros(self._series, np.int64)
        self._entity_of[selected.rows] = selected.entities
        self._before_ms = (end_seconds - cadence_seconds) * 1000
        self._from_ms = self._before_ms - lookback_seconds(cadence_seconds) * 1000
        self._now = self._latest(end_seconds * 1000)
        rows, _, values = within(samples, self._from_ms, self._before_ms, edition)
        self._before = _Before(rows.astype(np.int64), values)

    def replaced(self) -> Bools:
        """Tell of which entities a share of the processes was replaced within an interval."""
        rows, values = self._before
        entities = self._entity_of[rows]
        every = OfSeries(np.ones(len(rows), np.bool_), values)
        earlier = every.together(entities, self._count, "max")
        known = earlier.there[self._selected.entities]
        youngest = earlier.values[self._selected.entities] + WAVERING_SECONDS
        with np.errstate(invalid="ignore"):
            young = self._counted(self._now.there & known & (self._now.values > youngest))
            kept = self._counted(self._now.there & known & (self._now.values <= youngest))
        enough = self._counted(self._now.there) * REPLACED_SHARE
        return (young > 0) & (young >= enough) & (self._most() - kept >= enough)

    def another(self, versions: Ints) -> Bools:
        """Tell of which entities a version came up, where another was known before."""
        now = self._selected.rows[self._now.there]
        now = now[versions[now] > 0]
        before = np.unique(self._before.rows)
        before = before[versions[before] > 0]
        # Of an entity and a version in one number.
        width = int(versions.max(initial=0)) + 1
        pairs = self._entity_of * width + versions
        new = np.zeros(self._count, np.bool_)
        new[self._entity_of[now[~np.isin(pairs[now], pairs[before])]]] = True
        known = np.zeros(self._count, np.bool_)
        known[self._entity_of[before]] = True
        return new & known

    def _most(self) -> Ints:
        """Count how many processes of each entity there were, at the most."""
        step = counted_seconds(self._cadence) * 1000
        most = np.zeros(self._count, np.int64)
        at = self._before_ms // step * step
        while at > self._from_ms or (at == self._from_ms and self._edition.left_closed):
            most = np.maximum(most, self._counted(self._latest(at).there))
            at -= step
        return most

    def _latest(self, at_ms: int) -> OfSeries:
        latest = Latest(self._samples, self._series, at_ms, self._edition)
        return latest.at(self._selected.rows)

    def _counted(self, which: Bools) -> Ints:
        counts = np.bincount(self._selected.entities[which], minlength=self._count)
        return counts.astype(np.int64)
