from typing import Any

import numpy as np
import pytest

from deployments.api.forecast import ask
from deployments.api.forecast_body import ForecastBody
from deployments.forecasting.series.grid import lay_metric_on_grid, lay_on_grid
from models.errors import TrainingDataError

NOON = 1_790_596_800
DAY = 86_400


def of_metric(ts: Any, values: Any, now: float = 0.0, **body: Any) -> Any:
    return lay_metric_on_grid(ask(ForecastBody(metric="cpu", horizon=2, **body)), ts, values, now)


def test_a_metrics_gaps_are_missing_and_its_end_is_the_last_interval() -> None:
    ts = NOON + 15 * np.array([0, 1, 2, 5, 6])
    found = of_metric(ts, np.arange(5.0))
    np.testing.assert_array_equal(found.question.values, [0, 1, 2, np.nan, np.nan, 3, 4])
    assert found.question.cadence.seconds == 15
    assert found.ts == [NOON + 105, NOON + 120]


@pytest.mark.parametrize("late", [0, 14, 15, 59])
def test_a_silent_sources_grid_goes_on_to_the_last_whole_step_before_now(late: int) -> None:
    ts = NOON + 15 * np.arange(100)
    found = of_metric(ts, np.ones(100), now=NOON + 1500 + late)
    assert found.question.gap == late // 15
    assert found.ts == [NOON + 1500 + late // 15 * 15 + each for each in (0, 15)]


def test_the_cadence_of_a_metric_is_that_of_late() -> None:
    before, now = np.arange(0, 6000, 15), np.arange(6000, 66_000, 60)
    ts = NOON + np.concatenate([before, now])
    found = of_metric(ts, np.ones(len(ts)))
    assert found.question.cadence.seconds == 60
    assert len(found.question.values) == 1100
    assert (found.question.values == 1).all()


def test_a_metric_is_never_negative_and_values_are_where_the_request_says_no_other() -> None:
    assert of_metric(NOON + 15 * np.arange(9), np.ones(9)).question.least == 0
    for least, expected in ((None, -np.inf), (-2.0, -2.0)):
        body = ForecastBody(values=[1.0, 2.0], frequency="1h", least=least)
        assert lay_on_grid(ask(body)).question.least == expected


def test_rows_of_other_metrics_are_no_part_of_a_metrics_cadence() -> None:
    ts = NOON + 15 * np.arange(4000)
    found = of_metric(ts, np.where(np.arange(4000) % 4 == 0, 20.0, np.nan))
    assert found.question.cadence.seconds == 60
    assert found.question.values.tolist() == [20.0] * 1000
    fine = of_metric(ts, np.where(np.arange(4000) % 4 == 0, 20.0, np.nan), frequency="1m")
    assert np.isfinite(fine.question.values).all()
    with pytest.raises(TrainingDataError, match="every 60 seconds"):
        of_metric(ts, np.where(np.arange(4000) % 4 == 0, 20.0, np.nan), frequency="15s")


def test_without_a_value_a_metric_is_refused_in_words() -> None:
    with pytest.raises(TrainingDataError, match="no telemetry of this metric"):
        of_metric(NOON + 60 * np.arange(9), np.full(9, np.nan))


def test_of_a_long_past_the_latest_is_taken() -> None:
    ts = NOON + np.concatenate([[0, 15, 30], 60 * DAY + 15 * np.arange(100)])
    found = of_metric(ts, np.ones(103))
    assert len(found.question.values) == 100


@pytest.mark.parametrize(
    ("count", "frequency", "why"),
    [(0, None, "no telemetry"), (1, None, "one interval"), (50, "5m", "every 3600 seconds")],
)
def test_what_cannot_be_laid_out_is_refused_in_words(
    count: int, frequency: str | None, why: str
) -> None:
    with pytest.raises(TrainingDataError, match=why):
        of_metric(NOON + 3600 * np.arange(count), np.ones(count), frequency=frequency)


def test_holidays_are_marked_past_and_to_come() -> None:
    body = ForecastBody.model_validate(
        {
            "values": [1.0] * 3,
            "start": "2026-12-24T12:00:00Z",
            "frequency": "12h",
            "horizon": 3,
            "holidays": ["2026-12-26", "2026-12-25"],
        }
    )
    special = lay_on_grid(ask(body)).question.special
    assert special is not None
    assert special.tolist() == [False, True, True, True, True, False]
