"""Rows as clients send them: what is right is kept, and the rest is complained of."""

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources.bounds import BOUNDS
from features.sources.checks import RawRows, checked
from features.sources.source import Complaint, Gathered
from features.telemetry.columns import Telemetry

CADENCE = 60
NOW = 1_700_000_040.0
TS = int(NOW) - 3600


def one(metric: str, *values: Any, **others: Any) -> Gathered:
    """Check rows of one entity, a minute apart unless told otherwise."""
    minutes = [TS + CADENCE * row for row in range(len(values))]
    columns = {"entity": ["shop"] * len(values), "ts": minutes, **others}
    return check(RawRows(metrics={metric: values}, **columns))


def check(rows: RawRows, **options: Any) -> Gathered:
    return checked(rows, now=NOW, cadence_seconds=CADENCE, **options)


def counted(gathered: Gathered) -> dict[str, int]:
    return {complaint.fault: complaint.count for complaint in gathered.complaints}


def test_what_is_right_is_kept_as_it_is() -> None:
    metrics = {name: [0.0, 0.25, 1.0, None] for name in BOUNDS}
    minutes = [TS, TS + 60, TS + 120, TS + 180]
    found = check(RawRows(["b", "a", "b", "b"], minutes, metrics, [False, False, True, True]))
    assert found.complaints == ()
    table = found.telemetry
    assert table.entity.tolist() == ["a", "b", "b", "b"]
    assert table.ts.tolist() == [TS + 60, TS, TS + 120, TS + 180]
    assert table.deploy.tolist() == [0, 0, 1, 1]
    for name in BOUNDS:
        np.testing.assert_array_equal(getattr(table, name), [0.25, 0.0, 1.0, np.nan])
    assert np.isnan(table.exemplars).all()


def test_every_measured_column_has_bounds() -> None:
    floats = [name for name, values in Telemetry.empty().columns().items() if values.dtype == float]
    assert [*BOUNDS, "exemplars"] == floats


def test_a_row_without_anything_is_left_out() -> None:
    assert len(one("cpu", None, None).telemetry) == 0


@pytest.mark.parametrize("value", ["1", "NaN", True, [1], {}, b"1", 1j, object()])
def test_a_value_of_another_type_is_no_number(value: Any) -> None:
    found = one("request_rate", 1.0, value, 2)
    assert counted(found) == {"schema": 1}
    assert "request_rate of 'shop' at 2023-11-14T21:15:00Z is" in found.complaints[0].example
    assert found.telemetry.request_rate.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan"), 10**400])
def test_nan_and_infinities_are_not_numbers(value: Any) -> None:
    found = one("request_rate", 1.0, value, np.float32(2))
    assert counted(found) == {"not a number": 1}
    assert found.telemetry.request_rate.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("metric", "value"),
    [("error_rate", 1.06), ("cpu", 7.5), ("memory", -0.01), ("p99_ms", 1e12), ("request_rate", -1)],
)
def test_what_cannot_be_is_out_of_bounds(metric: str, value: float) -> None:
    found = one(metric, 0.5, value)
    assert counted(found) == {"out of bounds": 1}
    assert f"{value}, not in 0.." in found.complaints[0].example
    assert getattr(found.telemetry, metric).tolist() == [0.5]


def test_a_share_may_be_measured_a_little_over_1() -> None:
    found = one("error_rate", 1.03, -1e-12)
    assert found.complaints == ()
    assert found.telemetry.error_rate.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\0", 7, None, ["shop"]])
def test_a_name_that_names_nobody(name: Any) -> None:
    found = one("cpu", 0.5, 0.5, entity=[name, "shop"])
    assert counted(found) == {"schema": 1}
    assert found.telemetry.entity.tolist() == ["shop"]


@pytest.mark.parametrize(
    ("ts", "fault"),
    [
        ("2023", "schema"),
        (None, "schema"),
        (True, "schema"),
        (math.nan, "not a number"),
        (math.inf, "not a number"),
        (NOW + 61, "clock skew"),
        (-1, "clock skew"),
        (NOW * 1000, "clock skew"),
    ],
)
def test_a_time_that_cannot_be(ts: Any, fault: str) -> None:
    found = one("cpu", 0.5, 0.5, ts=[ts, TS])
    assert counted(found) == {fault: 1}
    assert found.telemetry.ts.tolist() == [TS]


def test_milliseconds_are_recognised() -> None:
    assert "milliseconds?" in one("cpu", 0.5, ts=[NOW * 1000]).complaints[0].example


def test_a_clock_may_be_ahead_by_an_interval() -> None:
    assert one("cpu", 0.5, ts=[NOW + 60]).complaints == ()


def test_times_belong_to_the_interval_they_fall_into() -> None:
    assert one("cpu", 0.1, 0.2, ts=[TS + 59.999, TS + 60]).telemetry.ts.tolist() == [TS, TS + 60]


def test_of_two_values_the_first_is_kept() -> None:
    found = one("cpu", None, 0.1, 0.2, 0.1, ts=[TS, TS, TS, TS + 30])
    assert counted(found) == {"duplicate": 1}
    assert found.complaints[0].example == "cpu of 'shop' at 2023-11-14T21:14:00Z is 0.2 and 0.1"
    assert found.telemetry.cpu.tolist() == [0.1]


def test_rows_of_one_interval_are_one_row() -> None:
    metrics = {"cpu": [0.1, None, None], "memory": [None, 0.2, None]}
    found = check(RawRows(["shop"] * 3, [TS, TS, TS], metrics, [False, False, True]))
    assert found.complaints == ()
    assert len(found.telemetry) == 1
    assert (found.telemetry.cpu[0], found.telemetry.memory[0]) == (0.1, 0.2)
    assert found.telemetry.deploy.tolist() == [1]


def test_a_metric_that_nobody_knows() -> None:
    found = one("happiness", 1.0, None, 3.0)
    assert counted(found) == {"unknown metric": 2}
    assert "'happiness': known are request_rate" in found.complaints[0].example


def test_columns_must_be_of_one_length() -> None:
    for rows in (
        RawRows(["shop"], [TS, TS], {"cpu": [0.1, 0.2]}),
        RawRows(["shop", "shop"], [TS, TS], {"cpu": [0.1]}),
        RawRows(["shop", "shop"], [TS, TS], {"cpu": [0.1, 0.2]}, [True]),
    ):
        found = check(rows)
        assert counted(found) == {"schema": 2}
        assert len(found.telemetry) == 0


@pytest.mark.parametrize("value", [1, "yes", None, 0.0])
def test_a_deploy_is_true_or_false(value: Any) -> None:
    found = one("cpu", 0.5, 0.5, deploy=[value, True])
    assert counted(found) == {"schema": 1}
    assert found.telemetry.deploy.tolist() == [0, 1]


def test_gaps_count_where_they_are_asked_for() -> None:
    ts = [TS, TS + 60, TS + 240, TS + 60, TS + 120]
    rows = RawRows(["a", "a", "a", "b", "b"], ts, {"cpu": [0.5] * 5})
    assert check(rows).complaints == ()
    (complaint,) = check(rows, report_gaps=True).complaints
    gap = "'a' from 2023-11-14T21:16:00Z to 2023-11-14T21:18:00Z"
    assert complaint == Complaint("gap", 2, gap)


def test_nothing_is_nothing() -> None:
    assert len(check(RawRows([], [], {"cpu": []}, [])).telemetry) == 0


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.none())
)
LIKELY = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), ANYTHING)
TIMES = st.one_of(st.integers(TS, TS + 300), ANYTHING)
ROW = st.tuples(st.one_of(st.sampled_from("ab"), ANYTHING), TIMES, LIKELY, LIKELY, ANYTHING)


@given(st.lists(ROW, max_size=12))
def test_whatever_comes_only_what_is_right_is_kept(given_rows: list[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*given_rows, strict=True)] or [[] for _ in range(5)]
    entity, ts, cpu, rate, deploy = columns
    found = check(RawRows(entity, ts, {"cpu": cpu, "request_rate": rate}, deploy)).telemetry
    assert len(set(zip(found.entity, found.ts, strict=True))) == len(found)
    assert (found.ts % CADENCE == 0).all()
    expected = _slowly(given_rows)
    rows = zip(found.entity, found.ts, found.cpu, found.request_rate, found.deploy, strict=True)
    kept = {(str(name), int(at)): tuple(map(float, values)) for name, at, *values in rows}
    assert str(kept) == str(dict(sorted(expected.items())))


def _slowly(rows: list[tuple[Any, ...]]) -> dict[tuple[str, int], tuple[float, ...]]:
    """Do the same row by row."""
    kept: dict[tuple[str, int], list[float]] = {}
    for entity, ts, cpu, rate, deploy in rows:
        named = type(entity) is str and 0 < len(entity) <= 200 and entity.isprintable()
        if not named or _number(ts) is None or not 0 <= ts <= NOW + CADENCE:
            continue
        row = kept.setdefault((entity, int(ts // CADENCE) * CADENCE), [math.nan, math.nan, 0.0])
        for place, value, highest, slack in ((0, cpu, 1.0, 0.05), (1, rate, 1e9, 0.0)):
            number = _number(value)
            if number is not None and -1e-9 <= number <= highest + slack and math.isnan(row[place]):
                row[place] = min(max(number, 0.0), highest)
        if deploy is True:
            row[2] = 1.0
    return {key: tuple(row) for key, row in kept.items() if str(row) != "[nan, nan, 0.0]"}


def _number(value: Any) -> float | None:
    if type(value) not in (int, float) or not math.isfinite(value):
        return None
    return float(value)


def test_100_000_rows_take_well_under_a_second() -> None:
    count = 100_000
    draw = np.random.default_rng(1)
    metrics = {name: draw.random(count).tolist() for name in BOUNDS}
    entity = [f"service-{row % 50}" for row in range(count)]
    ts = [float(row // 50 * CADENCE) for row in range(count)]
    began = time.process_time()
    found = check(RawRows(entity, ts, metrics, [False] * count), report_gaps=True)
    assert time.process_time() - began < 1.0
    assert len(found.telemetry) == count
