"""The table of measurements, and how telemetry gets into it."""

import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.telemetry import stored
from features.telemetry.tables import (
    METRICS,
    append,
    create_measurements,
    drop_made_up,
    keep_for,
    milliseconds,
)
from observability.clickhouse.embedded import EmbeddedClickhouse
from tests.measurements import Key, Values, telemetry_of

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC
KEY = ("auth", NOON)


def stored_rows(store: EmbeddedClickhouse) -> list[dict[str, Any]]:
    return store.query(
        "SELECT source, toUnixTimestamp64Milli(known) AS known, load, exemplars"
        " FROM measurements FINAL ORDER BY known, source"
    )


def test_the_table_has_the_columns_of_telemetry_and_who_said_it_when(
    empty: EmbeddedClickhouse,
) -> None:
    found = empty.query("SELECT name, type FROM system.columns WHERE table = 'measurements'")
    assert {row["name"]: row["type"] for row in found} == {
        "ts": "DateTime('UTC')",
        "entity": "LowCardinality(String)",
        "source": "LowCardinality(String)",
        "known": "DateTime64(3, 'UTC')",
        **dict.fromkeys(METRICS, "Float64"),
        "exemplars": "Array(Float32)",
        "session": "LowCardinality(String)",
        "regime": "Int16",
        "deploy": "UInt8",
        "incident": "LowCardinality(String)",
        "content": "UInt64",
    }


def test_what_is_taken_from_a_queue_is_synced_to_the_disk(empty: EmbeddedClickhouse) -> None:
    (found,) = empty.query(
        "SELECT create_table_query AS ddl FROM system.tables WHERE name = 'measurements'"
    )
    assert "fsync_after_insert = 1" in found["ddl"]
    assert "fsync_part_directory = 1" in found["ddl"]


def test_making_the_table_again_keeps_what_is_in_it(empty: EmbeddedClickhouse) -> None:
    append(empty, telemetry_of({KEY: {"load": 1.0}}), source="a", known_ms=5)
    create_measurements(empty)
    assert len(stored_rows(empty)) == 1


def test_what_was_measured_too_long_ago_is_dropped_by_the_engine(
    empty: EmbeddedClickhouse,
) -> None:
    now = int(time.time())
    rows = {("auth", now - days * 86_400): {"load": float(days)} for days in (1, 39, 41, 500)}
    append(empty, telemetry_of(rows), source="a", known_ms=5)
    for days, left in ((0, 4), (40, 2), (40, 2), (20, 1)):
        keep_for(empty, days)
        empty.execute("OPTIMIZE TABLE measurements FINAL")
        assert len(stored_rows(empty)) == left
    keep_for(empty, 0)
    append(empty, telemetry_of(rows), source="a", known_ms=6)
    empty.execute("OPTIMIZE TABLE measurements FINAL")
    assert len(stored_rows(empty)) == 5


def test_a_repeated_insert_collapses_and_a_correction_is_a_row_of_its_own(
    empty: EmbeddedClickhouse,
) -> None:
    for value, known_ms in ((1.0, 5), (1.0, 5), (2.0, 6)):
        append(empty, telemetry_of({KEY: {"load": value}}), source="a", known_ms=known_ms)
    append(empty, telemetry_of({KEY: {"load": 3.0}}), source="b", known_ms=6)
    found = [(row["source"], row["known"], row["load"]) for row in stored_rows(empty)]
    assert found == [("a", 5, 1.0), ("a", 6, 2.0), ("b", 6, 3.0)]


def test_only_numbers_are_stored_and_no_list_of_what_was_not_sampled(
    empty: EmbeddedClickhouse,
) -> None:
    sampled = np.arange(8) / 4
    rows: dict[Key, Values] = {
        ("auth", NOON): {"load": np.inf},
        ("auth", NOON + 60): {"exemplars": sampled},
        ("auth", NOON + 120): {"load": -np.inf},
    }
    append(empty, telemetry_of(rows), source="a", known_ms=5)
    found = empty.query("SELECT load, exemplars FROM measurements ORDER BY ts")
    assert all(np.isnan(row["load"]) for row in found)
    assert [row["exemplars"] for row in found] == [[], sampled.tolist(), []]
    exemplars = stored.training_rows(empty, NOON, NOON + 180)["exemplars"]
    assert np.isnan(exemplars).all(axis=1).tolist() == [True, False, True]
    np.testing.assert_array_equal(exemplars[1], sampled)


def test_nothing_given_is_nothing_stored(empty: EmbeddedClickhouse) -> None:
    append(empty, telemetry_of({}), source="a", known_ms=5)
    assert stored_rows(empty) == []


def test_an_hour_in_ten_years_a_month_each_is_one_insert(empty: EmbeddedClickhouse) -> None:
    """An engine refuses an insert into more than a hundred partitions."""
    rows = {("auth", NOON - at * 30 * 86_400): {"load": 1.0} for at in range(122)}
    append(empty, telemetry_of(rows), source="a", known_ms=NOON * 1000)
    assert len(stored_rows(empty)) == 122


def test_the_table_of_earlier_releases_is_dropped_where_there_is_one(
    empty: EmbeddedClickhouse,
) -> None:
    empty.execute("CREATE TABLE telemetry (ts DateTime) ENGINE = MergeTree ORDER BY ts")
    for _ in range(2):
        drop_made_up(empty)
        found = empty.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
        assert [row["name"] for row in found] == [
            "measurement_mappings",
            "measurements",
            "publications",
        ]


@given(st.floats(0, 4e9))
def test_nothing_is_known_before_its_time(moment: float) -> None:
    found = milliseconds(moment)
    assert Fraction(found, 1000) >= Fraction(moment) > Fraction(found - 1, 1000)


@pytest.mark.parametrize(("moment", "expected"), [(0.0, 0), (0.0004, 1), (1.5, 1500), (2.0, 2000)])
def test_milliseconds_are_rounded_up(moment: float, expected: int) -> None:
    assert milliseconds(moment) == expected
