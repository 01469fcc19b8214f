"""The histories of metrics that requests name, kept for the seconds in which no new value comes."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from deployments.history.client import HistoryAwayError, ask
from deployments.history.questions import MetricSteps, Questions
from models.forecasting.local.cadence import DAY, Cadence

# The shortest cadence of telemetry.
FRESH_SECONDS = 15.0
MOST_KEPT = 256
# How far back is read: of a metric as it was measured, and of one in steps, by their number.
DAYS, MOST_DAYS, STEPS = 60, 800, 1_500

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    entity: str
    metric: str
    frequency: str | None


class _Kept(NamedTuple):
    steps: MetricSteps
    read_at: float


class MetricHistories:
    """What was read of each metric, and when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[Wanted, _Kept] = OrderedDict()

    async def get(self, wanted: Iterable[Wanted]) -> dict[Wanted, MetricSteps]:
        """Give the histories that can be read; while the actor is away, what was read before."""
        names = list(dict.fromkeys(wanted))
        now = self._clock()
        old = [each for each in names if not self._is_fresh(each, now)]
        read = await asyncio.gather(*(_read(each) for each in old))
        for each, steps in zip(old, read, strict=True):
            if steps is not None:
                self._kept[each] = _Kept(steps, now)
        found = {each: self._kept[each].steps for each in names if each in self._kept}
        for each in found:
            self._kept.move_to_end(each)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    def _is_fresh(self, each: Wanted, now: float) -> bool:
        kept = self._kept.get(each)
        return kept is not None and now - kept.read_at < FRESH_SECONDS


async def _read(wanted: Wanted) -> MetricSteps | None:
    step_s = None if wanted.frequency is None else Cadence.parse(wanted.frequency).seconds
    try:
        return await ask(Questions.series, wanted.entity, wanted.metric, _seconds(step_s), step_s)
    except HistoryAwayError as away:
        log.warning("The history gives no %s of %s: %s", wanted.metric, wanted.entity, away.message)
        return None


def _seconds(step_s: int | None) -> int:
    if step_s is None:
        return DAYS * DAY
    return min(max(STEPS * step_s, DAYS * DAY), MOST_DAYS * DAY)
