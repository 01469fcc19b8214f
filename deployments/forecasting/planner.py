"""A batch of requests into plans: what the table predicts, what the present says, what it needs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deployments.forecasting.hourly_offsets import HourlyOffsets
from deployments.forecasting.table import Ahead, present_alone
from deployments.runtime.batch import Columns, Detail, FloatArray
from deployments.runtime.coverage.online_offsets import moved
from models.forecasting.plan import without_history
from models.forecasting.plan.correction import Moment, ratio, remaining
from models.forecasting.plan.model import CapacityModel, CapacityPlan
from models.forecasting.plan.queueing import queue_capacity
from models.protocols import IntArray

TARGET_CPU = 0.7
HOUR = 3600


class PlanInputs:
    """The rows' columns as the plan takes them."""

    def __init__(self, columns: Columns, ahead: Sequence[Ahead]) -> None:
        self.expected = np.array([each.expected for each in ahead])
        self.rate = columns["request_rate"]
        self.lasting = np.stack([each.lasting for each in ahead])
        # By which factor each hour differs from the table: what is left of the present rate's.
        self.corrected = remaining(ratio(self.rate, self.expected), self.lasting)
        self.now = Moment(
            ingest_rate=self.rate,
            cpu=columns["cpu"],
            p99=columns["p99"],
            active_workers=columns["active_workers"],
            expected_rate=self.expected,
        )
        self.slo = columns["slo_ms"]
        self.target_cpu = np.full(len(ahead), TARGET_CPU)
        self.events = np.nan_to_num(columns["calendar_events"])
        self.hours: list[int] = columns["horizon_hours"].astype(int).tolist()


def answer(
    columns: Columns,
    entities: Sequence[str],
    ahead: Sequence[Ahead],
    capacity: CapacityModel | None,
    online: HourlyOffsets,
) -> tuple[Columns, list[Detail | None]]:
    """Plan every row; the same to the bit whatever others ride along."""
    ahead = [
        present_alone(row, rate)
        for row, rate in zip(ahead, columns["request_rate"].tolist(), strict=True)
    ]
    inputs = PlanInputs(columns, ahead)
    lower, upper = (np.stack([getattr(row, end) for row in ahead]) for end in ("lower", "upper"))
    point = np.stack([row.point for row in ahead])
    records: list[dict[str, Any] | None] = [None] * len(ahead)
    if online:
        offsets = online.by_hour(entities, inputs.lasting)
        lower, upper = moved(lower, upper, offsets)
        records = online.records(entities)
    plan = _plan(inputs, upper, entities, ahead, capacity)
    point, lower, upper = (each * inputs.corrected for each in (point, lower, upper))
    outputs = {
        "next_hour_workers": plan.workers[:, 0].astype(np.float64),
        "queue_capacity": plan.queue_capacity.astype(np.float64),
        "rate": point[:, 0],
        "lower": lower[:, 0],
        "upper": upper[:, 0],
    }
    details: list[Detail | None] = [
        _detail(row, inputs, (point, lower, upper), ahead[row], plan, records[row])
        for row in range(len(ahead))
    ]
    return outputs, details


def _plan(
    inputs: PlanInputs,
    upper: FloatArray,
    entities: Sequence[str],
    ahead: Sequence[Ahead],
    capacity: CapacityModel | None,
) -> CapacityPlan:
    if capacity is None:
        return _unlearned(inputs, upper)
    return capacity.plan(
        upper,
        inputs.slo,
        inputs.target_cpu,
        entities=entities,
        start=np.array([each.start for each in ahead], dtype=np.int64),
        now=inputs.now,
        calendar_events=inputs.events,
        corrected=inputs.corrected,
    )


def _unlearned(inputs: PlanInputs, upper: FloatArray) -> CapacityPlan:
    """Plan by proportion alone, as autoscalers do, until it is learnt what a worker carries."""
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = without_history.foreseen(upper, inputs.now)
        rate[:, 0] = np.fmax(rate[:, 0], inputs.rate)
        each = inputs.rate / inputs.now.active_workers
        needed = without_history.workers(rate, inputs.now, inputs.slo, inputs.target_cpu, math.nan)
        needed = np.where(np.isnan(needed), rate / each[:, None], needed)
    workers: IntArray = np.ceil(np.clip(np.nan_to_num(needed, nan=1.0), 1.0, 1e6)).astype(np.int64)
    objective = np.where(inputs.slo > 0, inputs.slo, 1.0)
    return CapacityPlan(
        workers=workers,
        queue_capacity=queue_capacity(rate[:, 0], objective, objective / 2, workers[:, 0]),
        carried_rate=rate,
        rate_per_worker=each,
        reachable=np.ones(len(workers), dtype=np.bool_),
        basis=np.full(len(workers), "proportion"),
    )


def _detail(
    row: int,
    inputs: PlanInputs,
    rates: tuple[FloatArray, FloatArray, FloatArray],
    ahead: Ahead,
    plan: CapacityPlan,
    record: dict[str, Any] | None,
) -> Detail:
    hours = inputs.hours[row]
    point, lower, upper = (each[row, :hours].tolist() for each in rates)
    data = {
        "start": ahead.start,
        "point": point,
        "lower": lower,
        "upper": upper,
        "workers": plan.workers[row, :hours].tolist(),
        "drivers": {name: values[:hours] for name, values in ahead.drivers.items()},
        "basis": ahead.basis,
        "plan_basis": str(plan.basis[row]),
        "reachable": bool(plan.reachable[row]),
        "passed_over": dict(ahead.passed_over),
    }
    detail: Detail = {"data": data}
    if record is not None:
        detail["interval"] = {"method": "conformal+aci", "online": record}
    return detail
