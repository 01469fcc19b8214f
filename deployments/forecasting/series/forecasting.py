"""Who forecasts: the replica what is short, a process of low priority what is long.

A replica answers capacity plans too, which are look-ups. So it forecasts series in a thread, one
after another, in kernels that let the others run; what would take long even so goes to the process
beside it, which starts with the first such batch.
"""

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import NamedTuple, TypedDict

import numpy as np

from deployments.forecasting.series.answering import (
    Forecasted,
    forecast,
    prediction_of,
    refused,
    warm,
)
from deployments.forecasting.series.grid import SeriesOnGrid, lay_metric_on_grid, lay_on_grid
from deployments.forecasting.series.metrics import Wanted
from deployments.forecasting.series.operations import ForecastSeries
from deployments.history.questions import MetricSteps
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.helper.process import HelperLostError, HelperProcess
from models.errors import ModelError
from models.forecasting.local.cadence import Cadence
from models.forecasting.local.question import Question

# About what a forecast costs, measured on series of 20 to 20,000 values and 1 to 500 steps.
ROW_MS, VALUE_MS, STEP_MS = 3.0, 0.008, 0.06
# What the replica does itself.
LONG_MS = 60.0

log = logging.getLogger(__name__)

_UNREAD: Forecasted = {
    "refusal": {
        "code": "unavailable",
        "message": "The telemetry of this metric cannot be read at the moment: try again",
    }
}


class SentQuestion(TypedDict):
    """A question, as it goes to the process beside."""

    values: str
    seconds: int
    monthly: bool
    horizon: int
    levels: list[float]
    model: str
    special: str | None
    least: float | None
    ts: list[int] | None
    field: str


class Ready(NamedTuple):
    """A row that can be forecast, and the field of its body to name where it cannot."""

    series: SeriesOnGrid
    field: str


class SeriesForecasting:
    """Answers batches of series."""

    def __init__(self, helper: HelperProcess, clock: Callable[[], float]) -> None:
        self._helper = helper
        self._clock = clock
        self._starting: asyncio.Task[None] | None = None
        self._aside_is_warm = False

    async def answer(
        self, batch: Batch, histories: Mapping[Wanted, MetricSteps], version: str
    ) -> Prediction:
        rows: list[ForecastSeries] = batch.asks
        now = self._clock()
        read = [_ready(*each, histories, now) for each in zip(rows, wanted_of(batch), strict=True)]
        forecasts = iter(await self._forecast([each for each in read if isinstance(each, Ready)]))
        answered = [next(forecasts) if isinstance(each, Ready) else each for each in read]
        return prediction_of(answered, version)

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self._helper.close()

    async def _forecast(self, rows: Sequence[Ready]) -> list[Forecasted]:
        if sum(cost_ms(each.series.question) for each in rows) > LONG_MS:
            if self._aside_is_warm:
                try:
                    return await self._forecast_aside(rows)
                except HelperLostError as lost:
                    log.warning("Series are forecast in the replica, not beside it: %s", lost)
                    self._aside_is_warm = False
            elif self._starting is None:
                self._starting = asyncio.create_task(self._start_aside())
        return [await asyncio.to_thread(forecast, *each) for each in rows]

    async def _forecast_aside(self, rows: Sequence[Ready]) -> list[Forecasted]:
        """Send one row at a time, so that whoever gives up waiting leaves nothing to be done."""
        return [await self._helper.do("forecast", row=_sent(*each)) for each in rows]

    async def _start_aside(self) -> None:
        """Have the process beside import what it needs: that takes seconds."""
        try:
            await self._helper.do("forecast", row=None)
            self._aside_is_warm = True
        except HelperLostError as lost:
            log.warning("The helper process for long forecasts could not be started: %s", lost)
        finally:
            self._starting = None


def wanted_of(batch: Batch) -> list[Wanted | None]:
    """Name the telemetry that each row asks of, where it brings no values."""
    rows: list[ForecastSeries] = batch.asks
    return [
        None if (metric := row["metric"]) is None else Wanted(entity, metric, row["frequency"])
        for entity, row in zip(batch.entities, rows, strict=True)
    ]


def cost_ms(question: Question) -> float:
    steps = question.horizon + question.gap
    return ROW_MS + VALUE_MS * question.values.size + STEP_MS * steps


def forecast_sent(row: SentQuestion | None) -> Forecasted | None:
    """Forecast what a replica sent, in the process beside it; of None, just be ready."""
    if row is None:
        return warm()
    special = row["special"]
    question = Question(
        np.frombuffer(base64.b64decode(row["values"])),
        Cadence(row["seconds"], row["monthly"]),
        row["horizon"],
        tuple(row["levels"]),
        row["model"],
        None if special is None else np.frombuffer(base64.b64decode(special), dtype=np.bool_),
        -inf if row["least"] is None else row["least"],
    )
    return forecast(SeriesOnGrid(question, row["ts"]), row["field"])


def _ready(
    row: ForecastSeries,
    wanted: Wanted | None,
    histories: Mapping[Wanted, MetricSteps],
    now: float,
) -> Ready | Forecasted:
    if wanted is not None and wanted not in histories:
        return _UNREAD
    field = "metric" if wanted is not None else "ts" if row["ts"] is not None else "values"
    try:
        series = (
            lay_on_grid(row) if wanted is None else lay_metric_on_grid(row, *histories[wanted], now)
        )
    except ModelError as why:
        return refused(str(why), field)
    return Ready(series, "values" if field == "ts" else field)


def _sent(series: SeriesOnGrid, field: str) -> SentQuestion:
    question = series.question
    special = question.special
    return {
        "values": base64.b64encode(question.values.tobytes()).decode(),
        "seconds": question.cadence.seconds,
        "monthly": question.cadence.monthly,
        "horizon": question.horizon,
        "levels": list(question.levels),
        "model": question.model,
        "special": None if special is None else base64.b64encode(special.tobytes()).decode(),
        "least": None if question.least == -inf else question.least,  # JSON has no infinity
        "ts": series.ts,
        "field": field,
    }
