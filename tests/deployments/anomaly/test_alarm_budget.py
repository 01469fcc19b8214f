"""The budget of alarms: all of it is spent at any pace, and a quiet spell saves nothing up."""

import numpy as np
import pytest

from deployments.anomaly.alarm_budget import DAY, AlarmBudget


def spent(times: list[float], days: float) -> float:
    """Give the part of an alarm a day that observations at these times may spend."""
    budget = AlarmBudget(0.0)
    return sum(budget.share(1, now, 1.0) for now in times) / days


@pytest.mark.parametrize("cadence", [15, 60, 300, 900, 3_600])
def test_a_stream_by_itself_spends_its_budget_at_any_cadence(cadence: int) -> None:
    days = 10
    even = [float(now) for now in range(cadence, days * int(DAY) + 1, cadence)]
    assert 0.95 <= spent(even, days) <= 1.001
    late = np.random.default_rng(1).exponential(0.1 * cadence, len(even))
    assert 0.9 <= spent(sorted((even + late).tolist()), days) <= 1.001


@pytest.mark.parametrize("days", [1, 30])
def test_streams_that_report_together_spend_it_too(days: int) -> None:
    hours = np.arange(1, 24 * days + 1) * 3_600.0
    at = (hours[:, None] + np.linspace(0, 5, 10)).ravel().tolist()
    assert 0.75 <= spent(at, days) <= 1.001


def test_a_quiet_spell_saves_up_no_more_than_a_value_that_failed_to_come() -> None:
    budget = AlarmBudget(0.0)
    for minute in range(1, 100):
        budget.share(1, 60.0 * minute, 1.0)
    assert budget.share(1, 60.0 * 99 + 8 * 3_600, 1.0) * DAY == pytest.approx(120.0, rel=0.01)
    assert budget.share(1, 60.0 * 99 + 16 * 3_600, 1.0) * DAY <= 500.0


def test_observations_of_a_batch_share_what_has_accrued_among_the_holders() -> None:
    budget = AlarmBudget(0.0)
    budget.holders = 2
    assert budget.share(5, 60.0, 10.0) == pytest.approx(10.0 * 60 / DAY / 2 / 5)


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    budget = AlarmBudget(100.0)
    assert budget.share(1, 40.0, 1.0) == 0.0
    assert budget.share(1, 100.0, 1.0) == 0.0
