import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from deployments.api.extremes import ExtremesBody, ask
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.helper.process import HelperProcess
from deployments.tail.extremes import fitting
from deployments.tail.extremes.answering import fit
from deployments.tail.extremes.fitting import LONG_MS, SHORT_MS, Fitting, cost_ms
from tests.waiting import until

# To start a process of the lowest priority on a busy machine takes its time.
STARTED_SECONDS = 300.0


@pytest.fixture
async def fitter() -> AsyncIterator[Fitting]:
    found = Fitting(HelperProcess())
    yield found
    await found.close()


def batch_of(rows: int, values: int) -> Batch:
    draw = np.random.default_rng(rows)
    bodies = [ExtremesBody(values=draw.pareto(3, values).tolist()) for _ in range(rows)]
    bodies[-1] = ExtremesBody(values=[1.0, 2.0])
    return Batch("extremes", ["default"] * rows, {}, [ask(body) for body in bodies])


def said(prediction: Prediction) -> Any:
    columns = {name: column.tobytes() for name, column in prediction.columns.items()}
    return columns, prediction.details, prediction.refusals


@pytest.mark.timeout(2 * STARTED_SECONDS)
async def test_long_fits_leave_the_replica_and_come_back_with_the_same_bits(
    fitter: Fitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(20, 2_000)
    assert 20 * cost_ms(np.zeros(2_000)) > LONG_MS
    fitted_here = await fitter.answer(batch, {}, "1")  # while the process starts
    await until(lambda: fitter._aside_is_warm, STARTED_SECONDS)

    def not_here(*_: Any) -> Any:
        raise AssertionError("the replica has fitted itself")

    monkeypatch.setattr(fitting, "fit", not_here)
    assert said(await fitter.answer(batch, {}, "1")) == said(fitted_here)
    assert list(fitted_here.refusals) == [19]


async def test_while_it_fits_itself_the_replica_answers_others(fitter: Fitting) -> None:
    batch = batch_of(10, 2_000)
    fits = asyncio.create_task(fitter.answer(batch, {}, "1"))
    others = 0
    while not fits.done():
        await asyncio.sleep(0)
        others += 1
    assert others >= 10 * cost_ms(np.zeros(2_000)) // (2 * SHORT_MS)
    assert fitter._helper.pid is None  # for this much none is started


async def test_a_question_about_telemetry_is_fitted_once(
    fitter: Fitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(ExtremesBody(entity="auth", metric="p99_ms"))
    series = {("auth", "p99_ms"): np.random.default_rng(1).pareto(3, 500)}
    batch = Batch("extremes", ["auth"] * 4, {}, [asked] * 4)
    counted: list[int] = []

    def counting(asks: Any, values: Any) -> Any:
        counted.append(len(asks))
        return fit(asks, values)

    monkeypatch.setattr(fitting, "fit", counting)
    first = await fitter.answer(batch, series, "1")
    assert said(await fitter.answer(batch, series, "1")) == said(first)
    newer = {name: values.copy() for name, values in series.items()}
    await fitter.answer(batch, newer, "1")
    assert counted == [1, 1]


async def test_without_its_process_the_replica_fits_itself(fitter: Fitting) -> None:
    fitter._helper = HelperProcess(module="no.such.module")
    fitter._aside_is_warm = True
    batch = batch_of(20, 2_000)
    assert len((await fitter.answer(batch, {}, "1")).refusals) == 1
    assert not fitter._aside_is_warm
