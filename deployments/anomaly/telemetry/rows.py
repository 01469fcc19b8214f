"""Intervals as they are fed: of each metric of each entity what its stream has not taken."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from deployments.history.questions import Intervals, Newest
from features.telemetry.judged import Judged

# Of one stream at a time: a thousand observations hold a replica up for as long as a thousand do.
MOST_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Row:
    """What one stream is fed, oldest first."""

    entity: str
    metric: str
    cadence_seconds: int
    ts: list[int]
    values: list[float]
    known: float
    """When the entity's newest interval was known, epoch seconds."""


def rows_of(
    found: Intervals, judged: Mapping[str, Judged], newest: Mapping[str, Newest]
) -> Iterator[Row]:
    """Give what is new; an entity's rows follow each other."""
    if not len(found.ts):
        return
    begins = np.flatnonzero(found.entity[1:] != found.entity[:-1]) + 1
    ends = [*begins.tolist(), len(found.ts)]
    for begin, end in zip([0, *begins.tolist()], ends, strict=True):
        entity = str(found.entity[begin])
        yield from _rows_of_entity(found, slice(begin, end), judged.get(entity), newest[entity])


def _rows_of_entity(
    found: Intervals, own: slice, judged: Judged | None, newest: Newest
) -> Iterator[Row]:
    entity, ts = str(found.entity[own.start]), found.ts[own]
    for metric, column in found.metrics.items():
        taken = None if judged is None else judged.metrics.get(metric)
        values = column[own]
        new = np.isfinite(values) & (ts <= newest.ts)
        if taken is not None:
            new &= ts > taken.event_time
        times, fresh = ts[new].tolist(), values[new].tolist()
        for at in range(0, len(times), MOST_TOGETHER):
            part = slice(at, at + MOST_TOGETHER)
            yield Row(
                entity, metric, newest.cadence_seconds, times[part], fresh[part], newest.known
            )
