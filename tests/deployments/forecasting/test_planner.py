"""What a client gets: corrected by its present rate as far as this entity's surprises last."""

from typing import Any

import numpy as np
from redis.asyncio import Redis

from deployments.forecasting import planner
from deployments.forecasting.hourly_offsets import HourlyOffsets
from deployments.forecasting.past import Past
from deployments.forecasting.table import ForecastTable
from models.forecasting.forecaster import HOUR
from models.forecasting.seasonal_naive import SeasonalNaive

BEGIN, HOURS = 490_000, 600
MODEL = SeasonalNaive.name
NAMES = ["noise", "lasting"]
DAY = 100 * np.exp(0.6 * np.sin(2 * np.pi * np.arange(HOURS) / 24))


def table() -> ForecastTable:
    rng = np.random.default_rng(1)
    errors = 0.1 * rng.normal(size=(2, HOURS))
    for hour in range(1, HOURS):
        errors[1, hour] += 0.9 * errors[1, hour - 1]
    rates = DAY * np.exp(errors)
    past = {name: Past(BEGIN * HOUR, rates[row], "XNYS") for row, name in enumerate(NAMES)}
    now = (BEGIN + HOURS) * HOUR + 60.0
    return ForecastTable({MODEL: SeasonalNaive()}, {}, past, now, [MODEL])


def online(first: float = 0.0, last: float | None = None, outcomes: int = 20) -> HourlyOffsets:
    found = HourlyOffsets(Redis())  # which is never asked
    if first:
        found.take({name: {"offset": first, "outcomes": 20} for name in NAMES})
    if last is not None:
        found.last.take({name: {"offset": last, "outcomes": outcomes} for name in NAMES})
    return found


def answered(over: float, online: HourlyOffsets) -> list[dict[str, Any]]:
    """Answer both entities, when the present rate is so many times the one expected."""
    made = table()
    ahead = [made.ahead(name, MODEL) for name in NAMES]
    columns = {
        "request_rate": np.array([over * each.expected for each in ahead]),
        "cpu": np.full(2, 0.5), "p99": np.full(2, 20.0), "active_workers": np.full(2, 4.0),
        "slo_ms": np.full(2, 100.0), "calendar_events": np.zeros(2),
        "horizon_hours": np.full(2, 24.0),
    }  # fmt: skip
    _, details = planner.answer(columns, NAMES, ahead, None, online)
    return [each["data"] for each in details if each is not None]


def factors(end: str, changed: list[dict[str, Any]], usual: list[dict[str, Any]]) -> Any:
    return [
        np.array(one[end]) / np.array(other[end]) for one, other in zip(changed, usual, strict=True)
    ]


def test_a_surprise_moves_the_hours_by_what_lasts_of_it() -> None:
    surprised, usual = answered(2.0, online()), answered(1.0, online())
    for end in ("point", "upper"):
        of_noise, of_lasting = factors(end, surprised, usual)
        np.testing.assert_array_equal(of_noise, 1.0)
        assert 1.7 < of_lasting[0] < 2.0
        assert (np.diff(of_lasting) < 0).all()
        assert of_lasting[-1] < 1.3


def test_the_last_hour_is_widened_by_its_own_offset_and_those_between_by_what_lasts() -> None:
    widened = answered(1.0, online(first=0.1, last=0.5))
    _, of_lasting = factors("upper", widened, answered(1.0, online()))
    offsets = np.log(of_lasting)
    np.testing.assert_allclose(offsets[[0, -1]], [0.1, 0.5])
    assert (np.diff(offsets) > 0).all()
    assert offsets[5] > 0.3  # after six hours most of the errors of 24 are there


def test_until_the_last_hour_has_outcomes_enough_it_goes_by_the_first_ones_offset() -> None:
    widened = answered(1.0, online(first=0.1, last=0.0, outcomes=8))
    for of_one in factors("upper", widened, answered(1.0, online())):
        np.testing.assert_allclose(np.log(of_one), 0.1)
