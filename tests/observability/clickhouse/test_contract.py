"""What both ways to ClickHouse promise."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from observability.clickhouse import Clickhouse
from observability.errors import ClickhouseUnavailableError, QueryRejectedError

on_one_store = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@on_one_store
@given(text=st.text())
def test_any_text_comes_back_as_it_was_bound(either: Clickhouse, text: str) -> None:
    assert either.query("SELECT {t:String} AS t", {"t": text}) == [{"t": text}]


@on_one_store
@given(texts=st.lists(st.text(), max_size=5))
def test_any_list_of_texts_comes_back_as_it_was_bound(either: Clickhouse, texts: list[str]) -> None:
    assert either.query("SELECT {t:Array(String)} AS t", {"t": texts}) == [{"t": texts}]


@on_one_store
@given(
    whole=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    truth=st.booleans(),
    moment=st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_numbers_and_times_come_back_exactly(
    either: Clickhouse, whole: int, real: float, truth: bool, moment: datetime
) -> None:
    moment = moment.replace(tzinfo=UTC)
    (row,) = either.query(
        "SELECT {w:Int64} AS w, {r:Float64} AS r, {b:Bool} AS b, {m:DateTime64(6, 'UTC')} AS m",
        {"w": whole, "r": real, "b": truth, "m": moment},
    )
    assert row == {"w": whole, "r": real, "b": truth, "m": moment}


def test_nothing_is_bound_as_null(either: Clickhouse) -> None:
    sql = "SELECT {n:Nullable(String)} AS n, {l:Array(Nullable(String))} AS l"
    assert either.query(sql, {"n": None, "l": ["a", None]}) == [{"n": None, "l": ["a", None]}]


@pytest.mark.parametrize(
    "attack", ["'; DROP TABLE t; --", "' OR '1'='1", "\\' OR 1=1 --", "{a:String}", "$$", "`t`"]
)
def test_a_value_never_becomes_sql(either: Clickhouse, attack: str) -> None:
    either.execute("CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a")
    either.insert("t", {"a": ["x"]})
    assert either.query("SELECT a FROM t WHERE a = {a:String}", {"a": attack}) == []
    assert either.query("SELECT a FROM t WHERE a IN {a:Array(String)}", {"a": [attack]}) == []
    assert either.query("SELECT count() AS n FROM t") == [{"n": 1}]


@pytest.mark.parametrize("name", ["t (a) SELECT 1; --", "t-1", "", "t.u", "a b", "`a`"])
def test_a_name_never_becomes_sql(either: Clickhouse, name: str) -> None:
    with pytest.raises(ValueError, match="must be plain"):
        either.insert(name, {"a": ["x"]})
    with pytest.raises(ValueError, match="must be plain"):
        either.insert("t", {name: ["x"]})


def test_a_time_without_a_zone_is_refused(either: Clickhouse) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the mistake
    with pytest.raises(ValueError, match="needs a time zone"):
        either.query("SELECT {t:DateTime64(3, 'UTC')} AS t", {"t": naive})


def test_every_kind_of_column_can_be_inserted_and_read(either: Clickhouse) -> None:
    either.execute(
        "CREATE TABLE t (n UInt8, f Float64, s LowCardinality(String), b String, "
        "ts DateTime('UTC'), ms DateTime64(3, 'UTC'), v Array(Float32)) "
        "ENGINE = MergeTree ORDER BY n"
    )
    seconds = np.array([1_700_000_000, 1_700_000_060], dtype="datetime64[s]")
    either.insert(
        "t",
        {
            "n": np.array([1, 2], dtype=np.uint8),
            "f": [0.5, float("inf")],
            "s": np.array(["é", ""]),
            "b": pa.array([b"x", b"y"], pa.binary()),
            "ts": seconds,
            "ms": seconds.astype("datetime64[ms]") + np.timedelta64(7, "ms"),
            "v": np.arange(16, dtype=np.float32).reshape(2, 8),
        },
    )
    found = either.query("SELECT * FROM t ORDER BY n")
    assert found[0] == {
        "n": 1,
        "f": 0.5,
        "s": "é",
        "b": "x",
        "ts": 1_700_000_000,
        "ms": datetime(2023, 11, 14, 22, 13, 20, 7000, tzinfo=UTC),
        "v": list(map(float, range(8))),
    }
    columns = either.columns("SELECT f, s, v, ts FROM t ORDER BY n")
    assert columns["f"].tolist() == [0.5, float("inf")]
    assert columns["s"].tolist() == ["é", ""]
    assert columns["v"].shape == (2, 8)
    assert columns["ts"].tolist() == [1_700_000_000, 1_700_000_060]


def test_an_answer_without_rows_still_has_its_columns(either: Clickhouse) -> None:
    columns = either.columns("SELECT 1 AS a, [toFloat32(1)] AS v WHERE 0")
    assert {name: len(column) for name, column in columns.items()} == {"a": 0, "v": 0}
    assert either.query("SELECT 1 AS a WHERE 0") == []


def test_more_rows_than_one_chunk_arrive_in_one_insert(either: Clickhouse) -> None:
    either.execute("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n")
    either.insert("t", {"n": np.arange(150_000, dtype=np.uint32)})
    assert either.query("SELECT count() AS c, sum(n) AS s FROM t") == [
        {"c": 150_000, "s": 150_000 * 149_999 // 2}
    ]
    assert either.columns("SELECT n FROM t ORDER BY n")["n"].tolist() == list(range(150_000))


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nowhere", "SELECT {missing:String}"])
def test_a_wrong_statement_is_rejected(either: Clickhouse, sql: str) -> None:
    with pytest.raises(QueryRejectedError):
        either.query(sql)


def test_a_wrong_insert_is_rejected_and_stores_nothing(either: Clickhouse) -> None:
    either.execute("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n")
    with pytest.raises(QueryRejectedError):
        either.insert("t", {"n": ["no number"]})
    with pytest.raises(QueryRejectedError):
        either.insert("nowhere", {"n": [1]})
    either.insert("t", {"n": [1]})
    assert either.query("SELECT count() AS c FROM t") == [{"c": 1}]


def test_a_closed_store_says_so(either: Clickhouse) -> None:
    either.close()
    either.close()
    with pytest.raises(ClickhouseUnavailableError):
        either.query("SELECT 1")
    with pytest.raises(ClickhouseUnavailableError):
        either.execute("SELECT 1")
    with pytest.raises(ClickhouseUnavailableError):
        either.insert("t", {"n": [1]})
