"""The telemetry that requests name by a metric: a week of minutes, kept while asked for."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from deployments.history.client import HistoryAwayError, ask
from deployments.runtime.batch import Batch, FloatArray

MINUTES = 7 * 1440
# Telemetry comes by the minute; until the next one is read, the last one goes on.
FRESH_SECONDS = 60.0
FORGOTTEN_SECONDS = 3600.0
MOST_SERIES = 512

log = logging.getLogger(__name__)

# An entity, and one of its metrics.
Wanted = tuple[str, str]


def wanted_of(batch: Batch) -> list[Wanted | None]:
    """Name the telemetry that each row asks of, where it brings no values."""
    return [
        None if ask["m"] is None else (entity, ask["m"])
        for entity, ask in zip(batch.entities, batch.asks, strict=True)
    ]


class MetricSeries:
    """What was read of each (entity, metric), and when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._series: OrderedDict[Wanted, FloatArray] = OrderedDict()
        self._asked: dict[Wanted, float] = {}

    async def get(self, wanted: Iterable[Wanted]) -> dict[Wanted, FloatArray]:
        """Give the series that can be read.

        Those never asked for are read now, the others in the background.
        """
        now = self._clock()
        names = set(wanted)
        for each in names:
            self._asked[each] = now
        absent = [each for each in names if each not in self._series]
        if absent:
            await asyncio.gather(*(self._read(each) for each in absent))
        return {each: self._series[each] for each in names if each in self._series}

    async def refresh(self) -> None:
        """Read again what somebody still asks for."""
        now = self._clock()
        for each in list(self._series):
            if now - self._asked.get(each, 0.0) > FORGOTTEN_SECONDS:
                del self._series[each]
                self._asked.pop(each, None)
            else:
                await self._read(each)

    async def _read(self, wanted: Wanted) -> None:
        try:
            found: Any = await ask("metric", *wanted, MINUTES)
        except HistoryAwayError as away:
            log.warning("The history gives no %s of %s: %s", *wanted[::-1], away.message)
            return
        self._series[wanted] = np.asarray(found, dtype=np.float64)
        while len(self._series) > MOST_SERIES:
            oldest, _ = self._series.popitem(last=False)
            self._asked.pop(oldest, None)
