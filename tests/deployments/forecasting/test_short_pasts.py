"""Entities with hours of history, gaps, or none, and no exchange: a wide answer with its reason."""

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.forecasting import planner
from deployments.forecasting.hourly_offsets import HourlyOffsets
from deployments.forecasting.past import Past, series_of, unknown_entity
from deployments.forecasting.table import NO_HISTORY, Ahead, ForecastTable
from features.hours.known import NAMES, NEUTRAL, known_hours
from models.errors import TrainingDataError
from models.forecasting.forecaster import HOUR, Forecaster
from models.forecasting.training import train_cheap

BEGIN = 490_000 * HOUR
MODELS = ("ensemble", "prophet")


def past(hours: int, gaps: float, seed: int = 1) -> Past:
    rng = np.random.default_rng(seed)
    rate = 1_000 * np.exp(0.6 * np.sin(np.arange(hours) / 4) + 0.1 * rng.normal(size=hours))
    rate[rng.random(hours) < gaps] = np.nan
    return Past(BEGIN - hours * HOUR, rate, None)


def trained(pasts: dict[str, Past]) -> dict[str, Forecaster]:
    series = [series_of(name, each) for name, each in pasts.items()]
    if not any(np.isfinite(each.values).any() for each in series):
        with pytest.raises(TrainingDataError, match="of at least one entity, and 0 are"):
            train_cheap(series, seed=1)
        return {}
    cheap = train_cheap(series, seed=1)
    members = (cheap.seasonal_naive, cheap.prophet, cheap.ensemble)
    return {each.name: each for each in members}


def answers(pasts: dict[str, Past], forecasters: dict[str, Forecaster]) -> list[Ahead]:
    table = ForecastTable(forecasters, {}, pasts, BEGIN + 60.0, MODELS)
    return [table.ahead(name, model) for name in [*pasts, "new"] for model in MODELS]


@pytest.mark.parametrize("hours", [0, 1, 3, 5, 23, 25, 48, 200])
@pytest.mark.parametrize("gaps", [0.0, 0.5, 1.0])
def test_each_length_of_history_is_answered_with_an_interval_about_the_point(
    hours: int, gaps: float
) -> None:
    pasts = {"young": past(hours, gaps)}
    measured = bool(np.isfinite(pasts["young"].rate).any())
    for forecasters in ({}, trained(pasts)):
        for ahead in answers(pasts, forecasters):
            assert np.isfinite([ahead.point, ahead.lower, ahead.upper]).all()
            assert (ahead.lower <= ahead.point).all()
            assert (ahead.point <= ahead.upper).all()
            assert ahead.basis
        young = answers(pasts, forecasters)[0]
        assert (young.basis == NO_HISTORY) is not measured
        if 0 < hours < 24 and measured:  # the rest of the day was never seen
            assert (young.upper >= 1.9 * young.point).all()
            assert (young.upper <= 10 * np.nanmax(pasts["young"].rate)).all()


@pytest.mark.parametrize("rate", [500.0, np.nan])
def test_without_any_past_the_present_rate_is_all_that_is_gone_by(rate: float) -> None:
    (ahead, _) = answers({}, {})
    columns = {name: np.array([np.nan]) for name in ("cpu", "p99", "slo_ms")}
    columns |= {"request_rate": np.array([rate]), "active_workers": np.array([4.0])}
    columns |= {"calendar_events": np.zeros(1), "horizon_hours": np.full(1, 24.0)}
    online = HourlyOffsets(Redis())  # which is never asked
    outputs, (detail,) = planner.answer(columns, ["new"], [ahead], None, online)
    assert detail is not None
    assert detail["data"]["basis"].startswith(NO_HISTORY)
    if rate > 0:
        assert (detail["data"]["lower"], detail["data"]["upper"]) == ([0.0] * 24, [1_000.0] * 24)
        assert outputs["next_hour_workers"].tolist() == [5.0]


def test_no_exchange_is_nobodys_calendar() -> None:
    known = known_hours(None, BEGIN, 400)
    assert known.shape == (400, len(NAMES))
    assert (known == NEUTRAL).all()
    assert not (known == known_hours("XNYS", BEGIN, 400)).all()
    assert (unknown_entity("new", BEGIN + 60.0).known == NEUTRAL).all()
    assert (series_of("young", past(30, 0.0)).known == NEUTRAL).all()
