"""Telemetry by the hour: an entity's means, NaN where too little of the hour was measured.

Every series lies on whole hours and runs to the same end, so that those of many entities can be
forecast together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.hours.known import HOUR, NAMES, known_hours
from features.telemetry.columns import Floats

MEASURES = ("request_rate", "cpu", "p99_ms", "active_workers")
LEAST_SHARE = 0.5
"""An hour of whose intervals a smaller share was measured counts as a gap."""


@dataclass(frozen=True, slots=True)
class EntityHours:
    """One entity's past by the hour; each array is (hours,)."""

    entity: str
    start: int
    """Epoch seconds of the first hour, in which something was measured."""
    request_rate: Floats
    cpu: Floats
    p99_ms: Floats
    active_workers: Floats

    @property
    def end(self) -> int:
        """Epoch seconds of the first hour that is not in it."""
        return self.start + HOUR * len(self.request_rate)

    def known(self, exchange: str | None, ahead: int) -> Floats:
        """Give the calendar's columns (see known.NAMES) of its hours and `ahead` more."""
        return known_hours(exchange, self.start, len(self.request_rate) + ahead)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of `known` are."""
        return NAMES


def laid_out(rows: Mapping[str, NDArray[Any]], until: int) -> dict[str, EntityHours]:
    """Lay rows of (entity, hour, MEASURES), an hour since 1970 each, on whole series."""
    found = {}
    last = until // HOUR
    for entity in np.unique(rows["entity"]):
        own = rows["entity"] == entity
        hour = rows["hour"][own]
        first = int(hour.min())
        series = {name: np.full(last - first, np.nan) for name in MEASURES}
        for name, values in series.items():
            values[hour - first] = rows[name][own]
        found[str(entity)] = EntityHours(str(entity), first * HOUR, **series)
    return found
