"""Every reader answers by the mapping in force, as if the ended numbers had never been given."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.calendars.days import DAY
from features.hours.stored import stored_hours, worker_minutes
from features.telemetry import stored
from features.telemetry.columns import Telemetry
from features.telemetry.mappings import WHOLE, ended_columns, mapping_in_force, note_mapping
from features.telemetry.seen import entities
from features.telemetry.tables import append
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.fortnight import ENTITIES, START, STOP, fortnight

CHANGED_MS = STOP * 1000 + 5_000
READERS: list[Callable[[EmbeddedClickhouse], Any]] = [
    stored.newest,
    lambda store: stored.baselines(store, STOP),
    lambda store: stored.newest_values(store, ENTITIES, STOP),
    lambda store: stored.training_rows(store, START, STOP),
    lambda store: stored.between(store, START, STOP).columns(),
    lambda store: stored.metric(store, ENTITIES[0], "p50_ms", START, STOP),
    lambda store: worker_minutes(store, START, STOP),
    lambda store: {name: vars_of(each) for name, each in stored_hours(store, STOP, 7).items()},
]


def vars_of(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__slots__}


def same(found: Any, expected: Any) -> None:
    np.testing.assert_equal(found, expected)


@pytest.fixture
def store(empty: EmbeddedClickhouse) -> EmbeddedClickhouse:
    empty.execute("TRUNCATE TABLE measurement_mappings")
    return empty


def answers(store: EmbeddedClickhouse) -> list[Any]:
    return [read(store) for read in READERS]


def test_numbers_that_have_ended_answer_no_reader_but_one_of_then(
    store: EmbeddedClickhouse,
) -> None:
    rows = fortnight()
    append(store, rows, source="prom", known_ms=STOP * 1000)
    note_mapping(store, "prom", "a", since_ms=0)
    before = answers(store)
    ended = ("p50_ms", "request_rate", "deploy", "exemplars")
    note_mapping(store, "prom", "b", since_ms=CHANGED_MS, ended=ended)
    found = answers(store)
    then = stored.between(store, START, STOP, known_until_ms=CHANGED_MS - 1)
    same(then.columns(), before[4])
    assert mapping_in_force(store, "prom") is not None
    store.execute("TRUNCATE TABLE measurements")
    store.execute("TRUNCATE TABLE measurement_mappings")
    nothing = {
        name: np.full_like(getattr(rows, name), np.nan) for name in ended if name != "deploy"
    }
    append(
        store,
        replace(rows, deploy=np.zeros_like(rows.deploy), **nothing),
        source="prom",
        known_ms=STOP * 1000,
    )
    for one, other in zip(found, answers(store), strict=True):
        same(one, other)


def test_rows_that_have_ended_are_as_if_they_were_not_there(store: EmbeddedClickhouse) -> None:
    append(store, fortnight(), source="prom", known_ms=STOP * 1000)
    append(store, of_one(fortnight()), source="other", known_ms=STOP * 1000)
    note_mapping(store, "prom", "b", since_ms=CHANGED_MS, ended=(WHOLE,))
    found, seen = answers(store), entities(store, START)
    assert [each.entity for each in seen] == [ENTITIES[0]]
    store.execute("TRUNCATE TABLE measurements")
    append(store, of_one(fortnight()), source="other", known_ms=STOP * 1000)
    for one, other in zip(found, answers(store), strict=True):
        same(one, other)
    assert entities(store, START) == seen


def test_what_ended_twice_ends_at_the_later_time(store: EmbeddedClickhouse) -> None:
    for since_ms in (5, 7, 6):
        note_mapping(store, "prom", "a", since_ms=since_ms, ended=("cpu",))
    (found,) = ended_columns(store)
    assert found.before_ms == 7
    assert [each.before_ms for each in ended_columns(store, 6)] == [6]
    assert ended_columns(store, 4) == ()
    with pytest.raises(ValueError, match="regime"):
        note_mapping(store, "prom", "a", since_ms=8, ended=("regime",))


def of_one(rows: Telemetry) -> Telemetry:
    return rows.rows((rows.entity == ENTITIES[0]) & (rows.ts >= STOP - DAY))
