import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from deployments.api.forecast import ask
from deployments.api.forecast_body import ForecastBody
from deployments.forecasting.series import forecasting
from deployments.forecasting.series.forecasting import LONG_MS, SeriesForecasting, cost_ms
from deployments.forecasting.series.grid import lay_on_grid
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.helper.process import HelperProcess
from tests.waiting import until

# To start a process of the lowest priority on a busy machine takes its time.
STARTED_SECONDS = 300.0


@pytest.fixture
async def series() -> AsyncIterator[SeriesForecasting]:
    found = SeriesForecasting(HelperProcess(), lambda: 0.0)
    yield found
    await found.close()


def batch_of(rows: int, values: int) -> Batch:
    draw = np.random.default_rng(rows)
    bodies = [
        ForecastBody.model_validate(
            {
                "values": [None, *draw.normal(size=values).tolist()],
                "start": "2026-11-20T00:00:00Z",
                "frequency": "1h",
                "holidays": ["2026-11-21", "2026-11-28"],
                "model": "ets" if row % 2 else None,
                "least": -9 if row % 2 else None,
            }
        )
        for row in range(rows - 1)
    ]
    bodies.append(ForecastBody(values=[None], frequency="1h"))
    return Batch("forecast", ["default"] * rows, {}, [ask(body) for body in bodies])


def said(prediction: Prediction) -> Any:
    columns = {name: column.tobytes() for name, column in prediction.columns.items()}
    return columns, prediction.details, prediction.refusals


@pytest.mark.timeout(2 * STARTED_SECONDS)
async def test_long_ones_leave_the_replica_and_come_back_with_the_same_bits(
    series: SeriesForecasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(6, 2_000)
    assert 5 * cost_ms(lay_on_grid(batch.asks[0]).question) > LONG_MS
    here = await series.answer(batch, {}, "1")  # while the process starts
    await until(lambda: series._aside_is_warm, STARTED_SECONDS)

    def not_here(*_: Any) -> Any:
        raise AssertionError("the replica has forecast by itself")

    monkeypatch.setattr(forecasting, "forecast", not_here)
    assert said(await series.answer(batch, {}, "1")) == said(here)
    assert list(here.refusals) == [5]


async def test_while_it_forecasts_the_replica_answers_others(series: SeriesForecasting) -> None:
    answering = asyncio.create_task(series.answer(batch_of(2, 3_000), {}, "1"))
    others = 0
    while not answering.done():
        await asyncio.sleep(0)
        others += 1
    assert others > 20
    assert series._helper.pid is None  # for this much none is started


async def test_without_its_process_the_replica_forecasts_itself(series: SeriesForecasting) -> None:
    batch = batch_of(6, 2_000)
    here = await series.answer(batch, {}, "1")
    await series.close()
    series._helper, series._starting = HelperProcess(module="no.such.module"), None
    series._aside_is_warm = True
    assert said(await series.answer(batch, {}, "1")) == said(here)
