"""Workers and queue for the hours ahead, from the upper bound of the rate.

    rate to carry  = upper bound x what the moment says (see `correction`), the next hour no less
                     than the rate now, x calendar events x how minutes peak within that hour
                     (the moment says no less than the forecast itself is corrected by)
    workers        = that over what one worker carries with p99 and processors within target

What the calendar's events add is a stated tenth each: telemetry has no record of them to learn
from. Whatever else moves the rate (trend, seasonality, holidays) is in the forecast already.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from models.elementwise import log
from models.forecasting.plan import without_history
from models.forecasting.plan.correction import Moment, faded, surprise
from models.forecasting.plan.curves import LOADS, load_at
from models.forecasting.plan.learned import Learned
from models.forecasting.plan.queueing import queue_capacity
from models.forecasting.plan.rates import HOUR, WEEK_HOURS
from models.forecasting.plan.training import learn
from models.protocols import BoolArray, Columns, FloatArray, IntArray

CAPACITY_MODEL = "capacity/worker-curves"
EVENT_RISE = 0.1
"""Each calendar event of the request raises the rate to carry by so much."""
MOST_EVENTS = 10.0
USUAL_OBJECTIVE = 2.0
"""An objective that is not given is this times the usual p99."""
THINNEST = int(np.searchsorted(LOADS, 0.2))
"""A target that even this load misses is planned for at this load: more workers do not help."""
MOST_WORKERS = 1e6
BASES = ("learned", "little history", "no history")

_LITTLE = 3 * 1_440  # minutes
_ALMOST = 1 - 1e-9  # so that a rounding error does not cost a worker


class CapacityPlan(NamedTuple):
    workers: IntArray
    """(n, h)."""
    queue_capacity: IntArray
    """(n,), for the next hour."""
    carried_rate: FloatArray
    """(n, h): the rate that the workers are for."""
    rate_per_worker: FloatArray
    """(n,): what one carries within the targets; NaN without history."""
    reachable: BoolArray
    """(n,): whether workers can meet the targets at all; true without history."""
    basis: NDArray[np.str_]
    """(n,): one of BASES."""


class CapacityModel:
    """Plans for many entities in one call; planning changes nothing in the model."""

    name = CAPACITY_MODEL

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self._rows = {entity: row for row, entity in enumerate(learned.entities)}
        self._lent = float(np.median(learned.full))

    @classmethod
    def trained(cls, columns: Columns) -> Self:
        """Learn from minutes with the columns of telemetry.WANTED, a row an entity and minute."""
        return cls(learn(columns))

    def plan(
        self,
        upper_rates: FloatArray,
        target_p99: FloatArray,
        target_cpu: FloatArray,
        *,
        entities: Sequence[str],
        start: IntArray,
        now: Moment,
        calendar_events: FloatArray,
        corrected: FloatArray | None = None,
    ) -> CapacityPlan:
        """Plan each row's hours (n, h); NaN stands for what nobody knows.

        `start` is the epoch second of each row's first hour, `corrected` by which factors (n, h)
        its forecast is shown over the one that the upper rates are of.
        A row's plan is the same to the bit whatever others ride along. Workers and queue never
        shrink when an upper rate, the ingest rate, cpu, p99 or the calendar's events rise.
        """
        row = np.array([self._rows.get(name, -1) for name in entities], dtype=np.int64)
        strange = row < 0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            p50, objective = self._latencies(row, target_p99)
            rate = self._rate(row, upper_rates, start, now, calendar_events, corrected)
            each, reachable = self._carried(row, objective, target_cpu)
            asked = without_history.workers(rate, now, target_p99, target_cpu, self._lent)
            needed = np.where(strange[:, None], asked, rate / each[:, None])
        workers = _whole_workers(needed)
        return CapacityPlan(
            workers=workers,
            queue_capacity=queue_capacity(rate[:, 0], objective, p50, workers[:, 0]),
            carried_rate=rate,
            rate_per_worker=np.where(strange, np.nan, each),
            reachable=reachable | strange,
            basis=np.array(BASES)[self._basis(row)],
        )

    def save(self, folder: Path) -> None:
        self.learned.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load what `save` left; ArtifactError when it is damaged or of another release."""
        return cls(Learned.load(folder))

    def _latencies(self, row: IntArray, target_p99: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the usual service time and the objective; of a stranger, half of its objective."""
        usual = USUAL_OBJECTIVE * self.learned.usual_p99[row]
        objective = np.where(target_p99 > 0, target_p99, np.where(row < 0, 0.0, usual))
        return np.where(row < 0, objective / 2, self.learned.usual_p50[row]), objective

    def _rate(
        self,
        row: IntArray,
        upper: FloatArray,
        start: IntArray,
        now: Moment,
        calendar_events: FloatArray,
        corrected: FloatArray | None,
    ) -> FloatArray:
        learned, strange = self.learned, row < 0
        factor = surprise(
            now, learned.full[row], learned.usual_p99[row],
            (learned.log_p99[row + 1], learned.cpu[row + 1]),
        )  # fmt: skip
        left = faded(factor, learned.persistence, upper.shape[1])
        left = left if corrected is None else np.fmax(left, corrected)
        hour = (start[:, None] // HOUR + np.arange(upper.shape[1])) % WEEK_HOURS
        peak = np.where(strange[:, None], 1.0, learned.peak[row[:, None], hour])
        rate = without_history.foreseen(upper, now) * np.where(strange[:, None], 1.0, left)
        rate[:, 0] = np.fmax(rate[:, 0], now.ingest_rate)
        events = 1 + EVENT_RISE * np.clip(calendar_events, 0, MOST_EVENTS)
        return np.nan_to_num(rate * peak * events[:, None], posinf=np.inf)

    def _carried(
        self, row: IntArray, objective: FloatArray, target_cpu: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """Give what a worker carries within both targets, and whether they can be met."""
        learned = self.learned
        log_p99, cpu = learned.log_p99[row + 1], learned.cpu[row + 1]
        known = objective > 0
        ratio = np.where(known, objective, 1.0) / np.where(known, learned.usual_p99[row], 1.0)
        latency = log(ratio)
        busy = np.where(np.isnan(target_cpu), np.inf, target_cpu)
        reachable = (latency >= log_p99[:, THINNEST]) & (busy >= cpu[:, THINNEST])
        load = np.minimum(
            load_at(log_p99, np.maximum(latency, log_p99[:, THINNEST])),
            load_at(cpu, np.maximum(busy, cpu[:, THINNEST])),
        )
        return load * learned.full[row], reachable

    def _basis(self, row: IntArray) -> IntArray:
        little = np.where(self.learned.minutes[row] < _LITTLE, 1, 0)
        return np.where(row < 0, 2, little)


def _whole_workers(needed: FloatArray) -> IntArray:
    """Round up to whole workers, at least one."""
    whole: IntArray = np.ceil(np.clip(needed * _ALMOST, 1.0, MOST_WORKERS)).astype(np.int64)
    return whole
