"""Finds deploys in the start times of processes, as the PromQL for deploys does."""

import numpy as np

from features.sources.remote_write.editions import Edition
from features.sources.remote_write.log import Columns
from features.sources.remote_write.registry import Registry
from features.sources.remote_write.vectors import Latest, OfSeries, within
from features.sources.rules import Selector
from features.telemetry.columns import Bools

# As there: what was away for longer is new, and began no deploy.
LONGEST_RESTART_SECONDS = 600
_WAVERING_SECONDS = 1


def deploys(
    registry: Registry,
    starts: Selector,
    samples: Columns,
    end_seconds: int,
    cadence_seconds: int,
    edition: Edition,
) -> Bools:
    """Tell which entities' latest process is younger than all of an interval before."""
    count, selected = len(registry.entities), registry.select(starts)
    end, before = end_seconds * 1000, (end_seconds - cadence_seconds) * 1000
    latest = Latest(samples, len(registry), end, edition).at(selected.rows)
    now = latest.together(selected.entities, count, "max")
    back = max(LONGEST_RESTART_SECONDS, cadence_seconds) * 1000
    rows, _, values = within(samples, before - back, before, edition)
    entities = np.zeros(len(registry), np.int64)
    entities[selected.rows] = selected.entities
    every = OfSeries(np.ones(len(rows), np.bool_), values)
    earlier = every.together(entities[rows], count, "max")
    with np.errstate(invalid="ignore"):
        younger = now.values > earlier.values + _WAVERING_SECONDS
    return now.there & earlier.there & younger
