"""Hourly means: of minutes at hand and of those in ClickHouse, the same; gaps stay gaps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from features.calendars.days import DAY, MINUTE
from features.hours.known import HOUR, NAMES, known_hours
from features.hours.series import LEAST_MINUTES, MEASURES, EntityHours
from features.hours.stored import stored_hours, worker_minutes
from features.telemetry import stored as clickhouse
from features.telemetry.columns import Telemetry
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from tests.fortnight import ENTITIES, START, STOP, fortnight
from tests.hours import hours_of

UNTIL = STOP - 2 * HOUR - 17 * MINUTE


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickhouse]:
    folder: Path = tmp_path_factory.mktemp("hours") / "chdb"
    with EmbeddedClickhouse(folder) as found:
        create_tables(found)
        clickhouse.append(found, gappy())
        clickhouse.append(found, gappy().between(START, START + DAY))  # stored twice
        yield found


def gappy() -> Telemetry:
    """Give the fortnight with an hour cut short, one with too few rates, and one away."""
    whole = fortnight()
    hour = (whole.ts - START) // HOUR
    minute = (whole.ts - START) % HOUR // MINUTE
    kept = whole.rows(~((hour == 5) & (minute >= LEAST_MINUTES)) & (hour != 9))
    blind = (kept.ts - START) // HOUR == 7
    kept.request_rate[blind & ((kept.ts - START) % HOUR >= (LEAST_MINUTES - 1) * MINUTE)] = np.nan
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
