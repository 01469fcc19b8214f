"""The telemetry that requests name by a metric: a week of minutes, kept while asked for."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

import numpy as np

from deployments.history.client import HistoryAwayError, ask
from deployments.history.questions import Questions
from deployments.runtime.batch import Batch, FloatArray
from deployments.tail.extremes.operations import FitTail

MINUTES = 7 * 1440
# Telemetry comes by the minute; until the next one is read, the last one goes on.
FRESH_SECONDS = 60.0
FORGOTTEN_SECONDS = 3600.0
MOST_SERIES = 512

log = logging.getLogger(__name__)

# An entity, and one of its metrics.
Wanted = tuple[str, str]


def asks_of(batch: Batch) -> list[FitTail]:
    """Give the rows' requests, as deployments/api/extremes.py wrote them."""
    return batch.asks


def wanted_of(batch: Batch) -> list[Wanted | None]:
    """Name the telemetry that each row asks of, where it brings no values."""
    return [
        None if (metric := ask["fit"]["metric"]) is None else (entity, metric)
        for entity, ask in zip(batch.entities, asks_of(batch), strict=True)
    ]


class MetricSeries:
    """What was read of each (entity, metric), and when it was last asked for."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Both in the order in which they were asked for, those of late at the end.
        self._series: OrderedDict[Wanted, FloatArray] = OrderedDict()
        self._asked: dict[Wanted, float] = {}

    async def get(self, wanted: Iterable[Wanted]) -> dict[Wanted, FloatArray]:
        """Give the series that can be read.

        Those never asked for are read now, the others in the background.
        """
        names = list(dict.fromkeys(wanted))
        absent = [each for each in names if each not in self._series]
        read = await asyncio.gather(*(_read(each) for each in absent))
        for each, series in zip(absent, read, strict=True):
            if series is not None:
                self._series[each] = series
        found = {each: self._series[each] for each in names if each in self._series}
        now = self._clock()
        for each in found:
            self._asked[each] = now
            self._series.move_to_end(each)
        while len(self._series) > MOST_SERIES:
            self._forget(next(iter(self._series)))
        return found

    async def refresh(self) -> None:
        """Read again what somebody still asks for."""
        now = self._clock()
        for each in list(self._series):
            if each not in self._series:
                continue  # pushed out while another one was read
            if now - self._asked[each] > FORGOTTEN_SECONDS:
                self._forget(each)
            elif (series := await _read(each)) is not None and each in self._series:
                self._series[each] = series

    def _forget(self, each: Wanted) -> None:
        del self._series[each]
        del self._asked[each]


async def _read(wanted: Wanted) -> FloatArray | None:
    try:
        found = await ask(Questions.metric, *wanted, MINUTES)
    except HistoryAwayError as away:
        log.warning("The history gives no %s of %s: %s", *wanted[::-1], away.message)
        return None
    return np.asarray(found, dtype=np.float64)
