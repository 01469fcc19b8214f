"""From a row's request, or a metric's history, to the question that the local methods answer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

import numpy as np
import numpy.typing as npt

from deployments.forecasting.series.operations import ForecastSeries
from deployments.runtime.batch import FloatArray
from models.errors import TrainingDataError
from models.forecasting.local.cadence import DAY, Cadence
from models.forecasting.local.question import Question

MOST_PLACES = 100_000
"""Values and gaps together."""
MOST_METRIC_PLACES = 20_000
# Intervals that say how often a metric is measured now, and how much less often is too seldom.
_LATELY, _FINER = 500, 1.5


@dataclass(frozen=True, slots=True)
class SeriesOnGrid:
    """A series as models take it, and when its steps to come begin."""

    question: Question
    ts: list[int] | None


def lay_on_grid(row: ForecastSeries) -> SeriesOnGrid:
    """Lay a request's values on an even grid; raises TrainingDataError where they lie on none."""
    values = np.array(row["values"], dtype=np.float64)
    cadence = Cadence.parse(row["frequency"]) if row["frequency"] is not None else None
    if row["ts"] is not None:
        return _timed(row, values, np.array(row["ts"]), cadence)
    if cadence is None:
        raise TrainingDataError("there are no times and no frequency: give either")
    start = row["start"]
    return _question(row, values, None if start is None else int(start), cadence)


def lay_metric_on_grid(
    row: ForecastSeries, ts: npt.NDArray[np.int64], values: FloatArray, now: float
) -> SeriesOnGrid:
    """Lay a metric's history on an even grid that ends with the last whole step before now.

    Sources come and go, each with its own cadence: what lies in one step is averaged. What a
    source that fell silent did not measure is missing, so that no step of the past is forecast.
    """
    there = np.isfinite(values)
    if not there.any():
        raise TrainingDataError("the entity has no telemetry of this metric")
    ts, values = ts[there], values[there]
    cadence = _metrics_cadence(row, ts[-_LATELY:])
    places = np.rint((ts - ts[-1]) / cadence.seconds).astype(np.int64)
    late = places > -MOST_METRIC_PLACES
    places, values = places[late], values[late]
    at = places - places[0]
    counts = np.bincount(at)
    totals = np.bincount(at, weights=values)
    silent = max(int(now - ts[-1]) // cadence.seconds - 1, 0)
    grid = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    grid = np.concatenate([grid, np.full(silent, np.nan)])
    return _question(row, grid, int(ts[-1]) + cadence.seconds * int(places[0]), cadence)


def _metrics_cadence(row: ForecastSeries, ts: npt.NDArray[np.int64]) -> Cadence:
    """Take the cadence that is asked for, or that of late; refuse one that is too fine."""
    if row["frequency"] is None:
        if ts.size < 2:  # noqa: PLR2004 - one time has no distance
            raise TrainingDataError("one interval is all its telemetry: give a frequency, or wait")
        return Cadence.found_in(ts)
    cadence = Cadence.parse(row["frequency"])
    measured = float(np.median(np.diff(ts))) if ts.size > 1 else 0.0
    if measured > _FINER * cadence.seconds:
        raise TrainingDataError(
            f"it is measured every {measured:g} seconds, and {row['frequency']} is less: give no "
            "frequency, or a longer one"
        )
    return cadence


def _timed(
    row: ForecastSeries,
    values: FloatArray,
    ts: npt.NDArray[np.int64] | FloatArray,
    cadence: Cadence | None,
) -> SeriesOnGrid:
    whole = np.rint(ts).astype(np.int64)
    if cadence is None:
        cadence = Cadence.found_in(whole)
    places = cadence.places(whole)
    if places[-1] >= MOST_PLACES:
        raise TrainingDataError(
            f"the times span {places[-1] + 1} steps: at most {MOST_PLACES} are taken"
        )
    grid = np.full(int(places[-1]) + 1, np.nan)
    grid[places] = values
    return _question(row, grid, int(whole[0]), cadence)


def _question(
    row: ForecastSeries, values: FloatArray, first: int | None, cadence: Cadence
) -> SeriesOnGrid:
    ahead = np.arange(len(values), len(values) + row["horizon"])
    ts = None if first is None else cadence.times(first, ahead)
    question = Question(
        values,
        cadence,
        row["horizon"],
        tuple(row["levels"]),
        row["model"],
        _special(row, len(values), first, cadence),
        _least(row),
    )
    return SeriesOnGrid(question, ts)


def _least(row: ForecastSeries) -> float:
    """Give what no value can be under: nought of every metric, of a request's values its word."""
    if row["metric"] is not None:
        return 0.0
    return -inf if row["least"] is None else row["least"]


def _special(
    row: ForecastSeries, length: int, first: int | None, cadence: Cadence
) -> npt.NDArray[np.bool_] | None:
    """Say of each step whether it lies on one of the days that the request names."""
    if not row["holidays"] or first is None or cadence.seconds > DAY:
        return None
    named = [
        int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) // DAY
        for day in row["holidays"]
    ]
    days = (first + cadence.seconds * np.arange(length + row["horizon"])) // DAY
    return np.isin(days, named)
