"""Hourly means: of minutes at hand and of those in ClickHouse, the same; gaps stay gaps."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.calendars.days import DAY, MINUTE
from features.hours.known import HOUR, NAMES, known_hours
from features.hours.series import MEASURES, EntityHours
from features.hours.stored import stored_hours, worker_minutes
from features.telemetry.by_source import forget_source
from features.telemetry.columns import Telemetry
from features.telemetry.tables import append, create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.fortnight import ENTITIES, START, STOP, fortnight
from tests.hours import hours_of
from tests.measurements import telemetry_of

UNTIL = STOP - 2 * HOUR - 17 * MINUTE
HALF = 30


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickhouse]:
    folder: Path = tmp_path_factory.mktemp("hours") / "chdb"
    with EmbeddedClickhouse(folder) as found:
        create_measurements(found)
        append(found, gappy(), source="demo", known_ms=1)
        twice = gappy().between(START, START + DAY)
        append(found, twice, source="demo", known_ms=1)
        yield found


def gappy() -> Telemetry:
    """Give the fortnight with an hour cut short, one with too few rates, and one away."""
    whole = fortnight()
    hour = (whole.ts - START) // HOUR
    minute = (whole.ts - START) % HOUR // MINUTE
    kept = whole.rows(~((hour == 5) & (minute >= HALF)) & (hour != 9))
    blind = (kept.ts - START) // HOUR == 7
    kept.request_rate[blind & ((kept.ts - START) % HOUR >= (HALF - 1) * MINUTE)] = np.nan
    return kept


def same(one: EntityHours, other: EntityHours) -> None:
    assert (one.entity, one.start, one.end) == (other.entity, other.start, other.end)
    for name in MEASURES:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12, nan_ok=True)


def test_both_ways_give_the_same_hours(store: EmbeddedClickhouse) -> None:
    stored, taken = stored_hours(store, UNTIL, 30), hours_of(gappy(), UNTIL)
    assert stored.keys() == taken.keys() == set(ENTITIES)
    for entity in ENTITIES:
        same(stored[entity], taken[entity])


def test_an_hour_is_the_mean_of_its_minutes_and_a_gap_where_there_are_too_few() -> None:
    found = hours_of(gappy(), UNTIL)["settlement"]
    minutes = fortnight()
    own = minutes.rows((minutes.entity == "settlement") & (minutes.ts < START + HOUR))
    assert found.start == START
    assert found.end == STOP - 3 * HOUR
    assert found.request_rate[0] == pytest.approx(own.request_rate.mean())
    assert found.p99_ms[0] == pytest.approx(own.p99_ms.mean())
    assert np.flatnonzero(np.isnan(found.request_rate)).tolist() == [7, 9]
    assert np.flatnonzero(np.isnan(found.cpu)).tolist() == [9]


def at_cadence(cadence: int, stop: int, start: int = START) -> Telemetry:
    """Give one entity's telemetry so often, the hour's number as each value."""
    return telemetry_of(
        {
            ("slow", ts): {name: float(ts // HOUR) for name in MEASURES}
            for ts in range(start, stop, cadence)
        }
    )


@pytest.mark.parametrize("cadence", [15, 45, 60, 300, 900, 1800, 2700, 3600])
def test_an_hour_counts_when_half_of_its_intervals_were_measured(
    store: EmbeddedClickhouse, cadence: int
) -> None:
    """Of one hour a third is left, of another two thirds; of four or fewer, a third is half."""
    stop = START + 30 * HOUR
    whole = at_cadence(cadence, stop)
    hour, part = (whole.ts - START) // HOUR, (whole.ts - START) % HOUR / HOUR
    left = whole.rows(~((hour == 5) & (part >= 1 / 3)) & ~((hour == 8) & (part >= 2 / 3)))
    append(store, left, source="shop", known_ms=cadence)
    found = stored_hours(store, stop, 2)["slow"]
    forget_source(store, "shop")
    same(found, hours_of(left, stop)["slow"])
    measured = np.arange(START // HOUR, stop // HOUR, dtype=float)
    measured[[5] if cadence <= 300 else []] = np.nan
    assert np.array_equal(found.cpu, measured, equal_nan=True)


def test_a_source_may_change_its_cadence_and_give_a_metric_more_rarely(
    store: EmbeddedClickhouse,
) -> None:
    middle, stop = START + 40 * HOUR, START + 80 * HOUR
    often, rarely = at_cadence(60, middle), at_cadence(900, stop)
    rates = at_cadence(15, stop, middle)
    append(store, replace(often, cpu=np.full(len(often), np.nan)), source="shop", known_ms=1)
    append(store, replace(rates, cpu=np.full(len(rates), np.nan)), source="shop", known_ms=1)
    blank = {name: np.full(len(rarely), np.nan) for name in MEASURES if name != "cpu"}
    append(store, replace(rarely, **blank), source="batch", known_ms=1)
    found = stored_hours(store, stop, 4)["slow"]
    for each in ("shop", "batch"):
        forget_source(store, each)
    for name in MEASURES:
        assert np.isfinite(getattr(found, name)).all()


def test_an_hour_with_two_numbers_left_was_not_measured_half_hourly(
    store: EmbeddedClickhouse,
) -> None:
    stop = START + 9 * HOUR
    whole = at_cadence(60, stop)
    left = whole.rows((whole.ts < stop - HOUR) | (whole.ts % 1800 == 0))
    append(store, left, source="shop", known_ms=1)
    found = stored_hours(store, stop, 2)["slow"]
    forget_source(store, "shop")
    assert np.isnan(found.cpu).tolist() == [False] * 8 + [True]


def test_a_series_begins_with_its_first_hour(store: EmbeddedClickhouse) -> None:
    found = stored_hours(store, UNTIL, 3)["order-gateway"]
    assert found.start == found.end - 3 * DAY
    late = fortnight().between(START + 30 * HOUR, STOP)
    assert hours_of(late, STOP)["settlement"].start == START + 30 * HOUR


def test_the_calendar_covers_past_and_coming_hours() -> None:
    found = hours_of(fortnight(), STOP)["order-gateway"]
    known = found.known("XNYS", ahead=24)
    assert found.names == NAMES
    assert known.shape == (14 * 24 + 24, len(NAMES))
    assert np.array_equal(known[-24:], known_hours("XNYS", STOP, 24))


def test_nothing_stored_is_nothing_known(store: EmbeddedClickhouse) -> None:
    assert stored_hours(store, START - DAY, 7) == {}
    assert hours_of(Telemetry.empty(), STOP) == {}
    assert hours_of(fortnight(), START) == {}


def test_workers_are_learned_from_whole_minutes(store: EmbeddedClickhouse) -> None:
    found = worker_minutes(store, START, START + DAY)
    kept = gappy().between(START, START + DAY)
    assert len(found["ts"]) == len(kept)
    for name in ("ts", "request_rate", "cpu", "p50_ms", "p99_ms", "active_workers"):
        assert np.array_equal(found[name], kept.columns()[name], equal_nan=True)
    assert found["entity"].tolist() == kept.entity.tolist()
