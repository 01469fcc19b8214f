"""Who forecasts: the replica what is short, a process of low priority what is long."""

from deployments.forecasting.series.answering import Forecasted, forecast, prediction_of, refused
from deployments.forecasting.series.grid import asked_of
from deployments.forecasting.series.operations import ForecastSeries
from deployments.runtime.batch import Batch, Prediction
from models.errors import ModelError


class SeriesForecasting:
    """Answers batches of series."""

    async def answer(self, batch: Batch, version: str) -> Prediction:
        rows: list[ForecastSeries] = batch.asks
        return prediction_of([_answered(row) for row in rows], version)


def _answered(row: ForecastSeries) -> Forecasted:
    try:
        asked = asked_of(row)
    except ModelError as why:
        return refused(str(why), "ts" if row["ts"] is not None else "values")
    return forecast(asked, "values")
