"""Telemetry read back out of the engine is what was put in, and what models make of it."""

from dataclasses import replace

import numpy as np
import pytest

from features.calendars.days import DAY, MINUTE
from features.definitions.definition import HOUR
from features.definitions.live import LIVE, NAMES, TRAILING_DAYS
from features.rows import HOUR_RATE, FeatureRow
from features.telemetry import stored as clickhouse
from features.telemetry.columns import Telemetry
from features.telemetry.tables import append
from models.tail.baselines import entity_baselines, trailing_baselines
from models.tail.history import history_of
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.fortnight import ENTITIES, START, STOP, fortnight
from tests.measurements import latest


def add(store: EmbeddedClickhouse, telemetry: Telemetry, known_ms: int = STOP * 1000) -> None:
    append(store, telemetry, source="demo", known_ms=known_ms)


@pytest.fixture
def store(empty: EmbeddedClickhouse) -> EmbeddedClickhouse:
    """Hold the fortnight."""
    add(empty, fortnight())
    return empty


@pytest.mark.parametrize("until", [STOP, STOP - 3 * DAY, STOP - 3 * DAY - 471 * MINUTE])
def test_baselines_are_those_that_models_learn(store: EmbeddedClickhouse, until: int) -> None:
    learnt = entity_baselines(fortnight().between(START, until).columns())
    found = clickhouse.baselines(store, until)
    assert found.keys() == learnt.keys() == set(ENTITIES)
    for entity, baseline in learnt.items():
        assert found[entity] == pytest.approx(baseline._asdict(), rel=1e-12)


def test_baselines_leave_out_minutes_without_a_number_as_models_do(
    empty: EmbeddedClickhouse,
) -> None:
    week = fortnight().between(START, START + TRAILING_DAYS * DAY)
    week.p50_ms[::3] = np.nan
    week.request_rate[::7] = np.nan
    add(empty, week)
    found = clickhouse.baselines(empty, START + TRAILING_DAYS * DAY)
    for entity, baseline in entity_baselines(week.columns()).items():
        assert found[entity] == pytest.approx(baseline._asdict(), rel=1e-12)


def test_there_is_no_baseline_before_the_first_minute(store: EmbeddedClickhouse) -> None:
    assert clickhouse.baselines(store, START) == {}


def test_the_newest_minute_of_each_entity(store: EmbeddedClickhouse) -> None:
    assert clickhouse.newest(store) == dict.fromkeys(ENTITIES, STOP - MINUTE)


def test_an_empty_store_knows_nothing_and_says_so(empty: EmbeddedClickhouse) -> None:
    assert clickhouse.newest(empty) == {}
    assert clickhouse.baselines(empty, STOP) == {}
    assert latest(empty, ENTITIES, {}, STOP) == {}
    assert all(len(column) == 0 for column in clickhouse.training_rows(empty, 0, STOP).values())


def test_the_latest_row_is_read_off_the_last_stored_minute(store: EmbeddedClickhouse) -> None:
    normal = clickhouse.baselines(store, STOP)
    found = latest(store, [*ENTITIES, "nobody"], normal, STOP + 30)
    assert set(found) == set(ENTITIES)
    for entity in ENTITIES:
        telemetry = fortnight()
        last = telemetry.rows((telemetry.entity == entity) & (telemetry.ts == STOP - MINUTE))
        values = {each.name: float(last.columns()[each.name][0]) for each in LIVE}
        assert found[entity] == FeatureRow(values | normal[entity], float(STOP - MINUTE))
        assert set(found[entity].values) == set(NAMES)


def test_an_entity_without_a_baseline_still_has_its_readings(store: EmbeddedClickhouse) -> None:
    found = latest(store, ["settlement"], {}, STOP)
    assert set(found["settlement"].values) == {feature.name for feature in LIVE}


def test_what_was_silent_for_a_day_has_no_latest_row(store: EmbeddedClickhouse) -> None:
    assert latest(store, ENTITIES, {}, STOP - MINUTE + DAY).keys() == set(ENTITIES)
    assert latest(store, ENTITIES, {}, STOP + DAY) == {}


def test_a_name_is_a_value_and_never_sql(store: EmbeddedClickhouse) -> None:
    for name in ("'", "x') OR 1=1 --", "\\", "\n"):
        assert latest(store, [name], {}, STOP) == {}


def test_training_rows_are_the_telemetry(store: EmbeddedClickhouse) -> None:
    rows = clickhouse.training_rows(store, START + DAY, START + 3 * DAY)
    telemetry = fortnight().between(START + DAY, START + 3 * DAY).columns()
    for name, column in rows.items():
        if name == "exemplars":  # kept in single precision
            np.testing.assert_allclose(column, telemetry[name], rtol=1e-7)
        else:
            np.testing.assert_array_equal(column, telemetry[name])
        assert column.dtype.kind == telemetry[name].dtype.kind


def test_models_learn_alike_from_the_store_and_from_memory(store: EmbeddedClickhouse) -> None:
    rows, telemetry = clickhouse.training_rows(store, START, STOP), fortnight().columns()
    for stored, memory in zip(trailing_baselines(rows), trailing_baselines(telemetry), strict=True):
        np.testing.assert_array_equal(stored, memory)
    ours, theirs = history_of(rows), history_of(telemetry)
    np.testing.assert_array_equal(ours.inputs, theirs.inputs)
    np.testing.assert_allclose(ours.targets, theirs.targets, atol=1e-6)


def test_a_minute_that_arrives_twice_changes_no_answer(empty: EmbeddedClickhouse) -> None:
    week = fortnight().between(START, START + TRAILING_DAYS * DAY)
    until = START + TRAILING_DAYS * DAY
    add(empty, week)
    before = clickhouse.baselines(empty, until), latest(empty, ENTITIES, {}, until)
    rows = clickhouse.training_rows(empty, START, until)
    add(empty, week.between(START + DAY, START + 3 * DAY))
    add(empty, week.between(until - MINUTE, until))
    assert clickhouse.baselines(empty, until) == before[0]
    assert latest(empty, ENTITIES, {}, until) == before[1]
    for name, column in clickhouse.training_rows(empty, START, until).items():
        np.testing.assert_array_equal(column, rows[name])


def test_a_correction_counts_from_when_it_was_known(store: EmbeddedClickhouse) -> None:
    last = fortnight().rows(fortnight().ts == STOP - MINUTE)
    wrong = latest(store, ENTITIES, {}, STOP)
    add(store, replace(last, load=np.full(len(last), 0.125)), known_ms=STOP * 1000 + 500)
    for entity in ENTITIES:
        found = latest(store, ENTITIES, {}, STOP)[entity]
        assert found.values == wrong[entity].values | {"load": 0.125}
    assert latest(store, ENTITIES, {}, STOP, known_until_ms=STOP * 1000 + 499) == wrong


def test_a_metric_that_the_newest_interval_lacks_is_not_taken_from_an_older_one(
    store: EmbeddedClickhouse,
) -> None:
    last = fortnight().rows(fortnight().ts == STOP - MINUTE)
    coming = replace(last, ts=last.ts + MINUTE, infra=np.full(len(last), np.nan))
    add(store, coming)
    for row in latest(store, ENTITIES, {}, STOP).values():
        assert row.event_time == STOP
        assert np.isnan(row.values["infra"])
        assert np.isfinite(row.values["request_rate"])


@pytest.mark.parametrize(
    ("past_the_hour", "since"),
    [
        (30, -900 + 30),
        (5 * MINUTE, -900 + 5 * MINUTE),
        (20 * MINUTE + 7, 0),
        (59 * MINUTE, 0),
    ],
)
def test_the_rate_so_far_is_the_hours_and_a_quarters_at_least(
    store: EmbeddedClickhouse, past_the_hour: int, since: int
) -> None:
    begin = (STOP - DAY // 2) // HOUR * HOUR
    now, telemetry = begin + past_the_hour, fortnight()
    found = clickhouse.rates_so_far(store, [*ENTITIES, "nobody"], now)
    assert set(found) == set(ENTITIES)
    for entity in ENTITIES:
        when = (telemetry.ts >= begin + since) & (telemetry.ts <= now)
        rates = telemetry.request_rate[when & (telemetry.entity == entity)]
        assert found[entity] == {HOUR_RATE: pytest.approx(np.mean(rates), rel=1e-12)}


def test_a_rate_that_was_not_measured_of_late_is_none(store: EmbeddedClickhouse) -> None:
    assert clickhouse.rates_so_far(store, ENTITIES, STOP + 2 * HOUR) == {}
    last = fortnight().rows(fortnight().ts == STOP - MINUTE)
    silent = replace(last, ts=last.ts + DAY, request_rate=np.full(len(last), np.nan))
    add(store, silent)
    for values in clickhouse.rates_so_far(store, ENTITIES, STOP + DAY).values():
        assert np.isnan(values[HOUR_RATE])


def test_no_metric_but_those_that_are_listed(store: EmbeddedClickhouse) -> None:
    with pytest.raises(LookupError, match="no metric 'exemplars'; the metrics are: request_rate"):
        clickhouse.metric(store, ENTITIES[0], "exemplars", START, STOP)
