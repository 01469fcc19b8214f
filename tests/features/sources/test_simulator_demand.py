"""What the platform is asked to do follows its exchange's day, week and calendar."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.calendars.days import DAY, MINUTE, day_number
from features.sources.simulator.capacity import observed, workers
from features.sources.simulator.expectation import expected_rate
from features.sources.simulator.incidents import Incident
from features.sources.simulator.platform import Platform
from features.sources.simulator.regimes import REGIMES
from features.sources.simulator.services import DEFAULT_SERVICES, Service
from features.telemetry.columns import Floats, Telemetry

BY_NAME = {service.name: service for service in DEFAULT_SERVICES}
TRADING = ["order-gateway", "matching-engine", "market-data", "risk-check", "pricing", "settlement"]


def days(entity: str, first: date, count: int = 1) -> Telemetry:
    start = day_number(first) * DAY
    return Platform(13).minutes(entity, start, start + count * DAY)


def expected(name: str, day: date) -> Floats:
    return expected_rate(BY_NAME[name], day_number(day))


@pytest.mark.parametrize("entity", TRADING)
def test_trading_hours_carry_a_multiple_of_the_night(entity: str) -> None:
    minutes = days(entity, date(2026, 3, 2), 28)
    trading = np.median(minutes.request_rate[minutes.session == "continuous"])
    assert trading > 30 * np.median(minutes.request_rate[minutes.session == "closed"])


@pytest.mark.parametrize("entity", ["client-portal", "auth"])
def test_people_log_in_by_day_and_less_on_weekends(entity: str) -> None:
    saturday, tuesday = date(2026, 3, 7), date(2026, 3, 10)
    assert (
        days(entity, saturday).request_rate.mean() < 0.5 * days(entity, tuesday).request_rate.mean()
    )
    rate = days(entity, tuesday).request_rate
    assert rate.max() > 5 * rate.min()
    assert days(entity, saturday).request_rate.mean() > 2


@pytest.mark.parametrize(
    ("entity", "holiday", "same_weekday"),
    [
        ("order-gateway", date(2025, 11, 27), date(2025, 11, 20)),
        ("market-data", date(2026, 4, 6), date(2026, 4, 13)),
        ("pricing", date(2026, 5, 5), date(2026, 5, 12)),
    ],
)
def test_holidays_are_silent(entity: str, holiday: date, same_weekday: date) -> None:
    # What is left are the people, and in New York the evening before, which ends at 01:00 UTC.
    assert expected(entity, holiday).sum() < 0.08 * expected(entity, same_weekday).sum()
    silent, usual = days(entity, holiday), days(entity, same_weekday)
    assert silent.request_rate.sum() < 0.15 * usual.request_rate.sum()


def test_a_session_is_a_u_with_spikes_in_the_auctions() -> None:
    rate = expected("order-gateway", date(2026, 3, 10))  # opens 13:30, closes 20:00 UTC
    opening, midday, closing = rate[813:830].mean(), rate[1000], rate[1180:1189].mean()
    assert opening > 1.5 * midday
    assert closing > 1.3 * midday
    assert rate[808:811].mean() > 2 * rate[800:808].mean()
    assert rate[1190:1201].mean() > closing
    assert rate[1210] < 0.2 * midday


def test_an_expiry_is_a_quarter_heavier_than_the_friday_before() -> None:
    expiry, usual = (expected("order-gateway", date(2026, 3, day)) for day in (20, 13))
    growth_of_a_week = np.exp(0.15 * 7 / 365.25)
    assert expiry.sum() / usual.sum() == pytest.approx(1.25 * growth_of_a_week, rel=0.01)


def test_tuesdays_are_heavier_than_fridays_and_years_grow() -> None:
    tuesday, friday = (expected("market-data", date(2026, 3, day)).sum() for day in (10, 13))
    assert tuesday / friday == pytest.approx(1.05 / 0.93, rel=0.01)
    later = expected("market-data", date(2027, 3, 9)).sum()
    assert 1.1 < later / tuesday < 1.25


def test_regimes_move_the_demand() -> None:
    minutes = days("matching-engine", date(2026, 1, 5), 84)
    plain = minutes.rows((minutes.session == "continuous") & (minutes.incident == ""))
    usual = np.concatenate([expected("matching-engine", date.fromordinal(d)) for d in _ordinals()])
    ratio = plain.request_rate / usual[np.isin(minutes.ts, plain.ts)]
    by_regime = [np.median(ratio[plain.regime == regime]) for regime in range(len(REGIMES))]
    np.testing.assert_allclose(by_regime, [1.0, 1.3, 1.75], rtol=0.06)
    assert min(np.mean(minutes.regime == regime) for regime in range(len(REGIMES))) > 0.02


def _ordinals() -> range:
    first = date(2026, 1, 5).toordinal()
    return range(first, first + 84)


@pytest.mark.parametrize("entity", BY_NAME)
def test_the_autoscaler_keeps_the_load_near_its_target(entity: str) -> None:
    minutes = days(entity, date(2026, 3, 2), 28)
    trading = minutes.rows((minutes.session == "continuous") & (minutes.incident == ""))
    assert 0.4 < np.median(trading.load) < 0.7
    assert (trading.load > 1).mean() < 0.02
    assert minutes.load.max() > 0.7


def test_load_is_work_offered_over_workers() -> None:
    minutes = days("order-gateway", date(2026, 3, 2), 28)
    quiet = minutes.rows(minutes.incident == "")
    service = BY_NAME["order-gateway"]
    offered = quiet.request_rate * service.work_ms / 1000 / quiet.active_workers
    assert np.median(quiet.load / offered) == pytest.approx(1, abs=0.02)
    assert np.quantile(np.abs(np.log(quiet.load / offered)), 0.99) < 0.15


def test_slow_dependencies_load_the_workers_and_bring_no_others() -> None:
    start = day_number(date(2026, 1, 5)) * DAY
    service, seen = BY_NAME["auth"], []
    for incident in Platform(13).truth("auth", start, start + 364 * DAY).incidents:
        minutes = Platform(13).minutes("auth", incident.start, incident.stop)
        height = minutes.rows(incident.profile(minutes.ts) == 1)
        offered = height.request_rate * service.work_ms / 1000 / height.active_workers
        if incident.kind == "dependency_slowdown" and (height.incident == incident.kind).all():
            seen.append(np.median(height.load / offered) / (1 + 1.1 * incident.severity))
    assert len(seen) > 3
    np.testing.assert_allclose(np.median(seen), 1, atol=0.05)


def test_the_autoscaler_sees_a_step_two_minutes_late_and_then_closes_in_on_it() -> None:
    seen = observed(np.where(np.arange(60) < 30, 0.0, 100.0))
    assert seen[:32].tolist() == [0.0] * 32
    np.testing.assert_allclose(seen[32:35], [35.0, 57.75, 72.5375])
    assert seen[-1] > 99


def test_workers_come_late_to_a_surge_and_leave_slowly() -> None:
    start = day_number(date(2026, 1, 5)) * DAY
    grown = [
        _workers_around(entity, incident)
        for entity in BY_NAME
        for incident in Platform(13).truth(entity, start, start + 84 * DAY).incidents
        if incident.kind == "traffic_flood" and incident.severity > 0.6
    ]
    assert len(grown) > 3
    first, height, after = np.median(np.array(grown), axis=0)
    assert first < 1.1
    assert height > 1.3
    assert after > 1.2


def _workers_around(entity: str, surge: Incident) -> tuple[float, float, float]:
    """Workers early in a surge, at its height, and ten minutes after, over those before."""
    service = BY_NAME[entity]
    at = [
        surge.start - MINUTE,
        surge.start + MINUTE,
        surge.stop - 2 * MINUTE,
        surge.stop + 10 * MINUTE,
    ]
    seen = [workers(13, service, ts // DAY)[ts % DAY // MINUTE] for ts in at]
    return seen[1] / seen[0], seen[2] / seen[0], seen[3] / seen[0]


@given(day=st.integers(10_227, 21_900), service=st.sampled_from(DEFAULT_SERVICES))
@settings(max_examples=30, deadline=None)
def test_expectations_are_positive_and_bounded(day: int, service: Service) -> None:
    rate = expected_rate(service, day)
    assert (rate > 0).all()
    assert rate.max() < 10 * service.rate
