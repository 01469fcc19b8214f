"""Against the real engine behind HTTP: what tables hold, and each lie that they may tell."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
)
from features.sources.clickhouse import engine as bounds
from features.sources.clickhouse.rules import Query
from features.sources.clickhouse.server import ClickhouseServer as Asked
from features.sources.clickhouse.source import PATIENCE_SECONDS, ClickhouseSource
from features.sources.http.connection import Limits
from features.sources.source import Gathered
from features.telemetry.columns import Telemetry
from tests.clickhouse_server import ClickhouseServer, running_clickhouse

MINUTE = 60
START = 1_700_000_040  # a whole minute
NOW = START + 2 * 3600
QUERIES: TypeAdapter[Query] = TypeAdapter(Query)

# 40 requests of each service in a minute, of two pods; each fourth of shop's fails.
REQUESTS = f"""
CREATE TABLE requests ENGINE = MergeTree ORDER BY (service, at) AS
SELECT toDateTime64({START} + intDiv(number, 2) * 1.5, 3, 'Asia/Tokyo') AS at,
       CAST(if(number % 2, 'cart', 'shop') AS LowCardinality(String)) AS service,
       intDiv(number, 2) % 40 + 1 AS duration_ms,
       if(number % 2 = 0 AND intDiv(number, 2) % 4 = 0, 500, 200) AS status,
       concat('pod-', toString(intDiv(number, 2) % 2)) AS pod,
       toFloat64(intDiv(number, 2) % 2 + 1) AS waiting
FROM numbers({2 * 40 * 60})
"""  # noqa: S608 - our own numbers
MINUTES = f"""
CREATE TABLE minutes (time DateTime, entity String, request_rate Float64,
                      error_rate Nullable(Float64), p99_ms Float64, region String)
ENGINE = MergeTree ORDER BY (entity, time) AS
SELECT toDateTime({START} + number * 60), 'shop', number / 7, if(number % 10 = 3, NULL, 0.01),
       number + 0.125, 'eu'
FROM numbers(60)
"""  # noqa: S608 - see above
PLAIN = """
SELECT entity, time, request_rate, error_rate, p99_ms FROM minutes
WHERE time >= {from:DateTime64(3)} AND time < {to:DateTime64(3)}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ClickhouseServer]:
    with running_clickhouse(REQUESTS) as started:
        yield started


@pytest.fixture
def minutes(server: ClickhouseServer) -> ClickhouseServer:
    """Give a server whose table of minutes is as it should be."""
    server.run("DROP TABLE IF EXISTS minutes SYNC")
    server.run(MINUTES)
    return server


@pytest.fixture
async def asked(server: ClickhouseServer) -> AsyncIterator[Asked]:
    asked = Asked("prod", server.url, random=lambda: 0.5)
    yield asked
    await asked.close()


def source(
    asked: Asked, query: dict[str, Any], now: float = NOW, lateness: int = 10, cadence: int = MINUTE
) -> ClickhouseSource:
    return ClickhouseSource(
        "prod",
        asked,
        QUERIES.validate_python(query),
        lambda: now,
        cadence_seconds=cadence,
        lateness_seconds=lateness,
    )


def template(sql: str = PLAIN, **fields: Any) -> dict[str, Any]:
    metrics = {name: {"column": name} for name in ("request_rate", "error_rate", "p99_ms")}
    return {"kind": "sql", "sql": sql, "metrics": metrics} | fields


def table(**metrics: Any) -> dict[str, Any]:
    return {
        "kind": "table",
        "table": "requests",
        "entity": "service",
        "time": "at",
        "metrics": metrics,
    }


def of(entity: str, gathered: Gathered) -> Telemetry:
    return gathered.telemetry.rows(gathered.telemetry.entity == entity)


def faults(gathered: Gathered) -> dict[str, int]:
    return {each.fault: each.count for each in gathered.complaints}


RAW = table(
    request_rate={"kind": "rows"},
    error_rate={"kind": "share", "where": [{"column": "status", "op": ">=", "value": 500}]},
    p50_ms={"kind": "quantile", "column": "duration_ms", "level": 0.5},
    p95_ms={"kind": "quantile", "column": "duration_ms", "level": 0.95, "times": 1000},
    queue_depth={"kind": "gauge", "column": "waiting", "over": "sum"},
) | {"series": ["pod"]}


async def test_requests_become_rates_shares_quantiles_and_gauges(asked: Asked) -> None:
    found = await source(asked, RAW).range(START, START + 3600)
    shop, cart = of("shop", found), of("cart", found)
    assert shop.ts.tolist() == cart.ts.tolist() == [START + MINUTE * each for each in range(60)]
    assert set(shop.request_rate) == {40 / 60}
    assert set(shop.error_rate) == {0.25}
    assert set(cart.error_rate) == {0.0}
    assert set(shop.p50_ms) == {20.0}
    assert set(shop.p95_ms) == {38_000.0}
    assert set(shop.queue_depth) == {3.0}  # the mean of each pod, added up
    assert found.complaints == ()
    assert found.until is None


async def test_ranges_side_by_side_give_what_one_gives(asked: Asked) -> None:
    mine = source(asked, RAW)
    whole = await mine.range(START, START + 3600)
    parts = [await mine.range(START, START + 610), await mine.range(START + 610, START + 3600)]
    joined = Telemetry.concat(part.telemetry for part in parts)
    order = np.lexsort((joined.ts, joined.entity))
    for name, values in whole.telemetry.columns().items():
        np.testing.assert_array_equal(values, joined.rows(order).columns()[name], err_msg=name)


async def test_conditions_are_bound_and_never_part_of_the_sql(
    asked: Asked, server: ClickhouseServer
) -> None:
    evil = "cart' OR 1 = 1 --\\\n\t"
    only = RAW | {"where": [{"column": "service", "op": "!=", "value": evil}]}
    server.asked()
    assert len((await source(asked, only).range(START, START + 60)).telemetry) == 2
    none = RAW | {"where": [{"column": "service", "op": "in", "value": [evil, "shop"]}]}
    found = await source(asked, none).range(START, START + 60)
    assert set(found.telemetry.entity) == {"shop"}
    assert not any("1 = 1" in each.partition("\n")[2] for each in server.asked())


async def test_the_sql_of_the_user_gives_the_same_numbers(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    found = await source(asked, template()).range(START, START + 3600)
    shop = of("shop", found)
    assert shop.request_rate.tolist() == [each / 7 for each in range(60)]
    assert shop.p99_ms.tolist() == [each + 0.125 for each in range(60)]
    assert np.flatnonzero(np.isnan(shop.error_rate)).tolist() == [3, 13, 23, 33, 43, 53]
    assert found.complaints == ()
    assert minutes.run("SELECT count() FROM minutes").strip() == "60"


@pytest.mark.parametrize(
    "time",
    [
        "time",
        "toDateTime(time, 'America/New_York')",
        "toDateTime64(time, 9, 'Asia/Tokyo')",
        "toUnixTimestamp(time)",
        "toUnixTimestamp(time) + 0.25",
        "toUnixTimestamp(time) + 59",
    ],
)
@pytest.mark.usefixtures("minutes")
async def test_a_time_may_be_of_any_type_that_holds_moments(asked: Asked, time: str) -> None:
    sql = f"SELECT {time} AS at, entity, p99_ms FROM ({PLAIN})"  # noqa: S608 - see above
    query = template(sql, time="at", metrics={"p99_ms": {"column": "p99_ms", "times": 2}})
    shop = of("shop", await source(asked, query).range(START, START + 600))
    assert shop.ts.tolist() == [START + MINUTE * each for each in range(10)]
    assert shop.p99_ms.tolist() == [2 * each + 0.25 for each in range(10)]


@pytest.mark.parametrize(
    ("lie", "fault", "count"),
    [
        ("UPDATE p99_ms = nan WHERE toUnixTimestamp(time) % 300 = 0", "not a number", 2),
        ("UPDATE request_rate = inf WHERE time < toDateTime(1700000160)", "not a number", 2),
        ("UPDATE error_rate = 37 WHERE error_rate > 0", "out of bounds", 9),
        ("UPDATE entity = '' WHERE p99_ms < 3", "schema", 3),
        ("DELETE WHERE p99_ms > 3 AND p99_ms < 6", "gap", 3),
        ("MODIFY COLUMN p99_ms String", "schema", 10),
    ],
)
async def test_a_lie_of_the_table_is_caught(
    asked: Asked, minutes: ClickhouseServer, lie: str, fault: str, count: int
) -> None:
    settings = "" if "MODIFY" in lie else " SETTINGS mutations_sync = 2"
    if "entity" in lie:  # a column that rows are ordered by is not updated
        minutes.run("DROP TABLE minutes SYNC")
        minutes.run(MINUTES.replace("ORDER BY (entity, time)", "ORDER BY time"))
    minutes.run(f"ALTER TABLE minutes {lie}{settings}")
    found = await source(asked, template()).range(START, START + 600)
    assert faults(found) == {fault: count}
    rates = of("shop", found).request_rate
    assert np.isfinite(rates).sum() >= 7, "what was right is kept"


async def test_a_value_that_comes_twice_is_a_duplicate(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    minutes.run("INSERT INTO minutes SELECT time, entity, 5, NULL, 5, region FROM minutes LIMIT 2")
    found = await source(asked, template()).range(START, START + 600)
    assert faults(found) == {"duplicate": 4}
    assert len(of("shop", found)) == 10


async def test_label_sets_of_one_entity_are_told_apart_and_not_mixed(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    minutes.run(
        "INSERT INTO minutes SELECT time, entity, 5, NULL, 5, 'us' FROM minutes"
        " ORDER BY time LIMIT 2"
    )
    sql = PLAIN.replace("p99_ms FROM", "p99_ms, region FROM")
    found = await source(asked, template(sql)).range(START, START + 600)
    assert faults(found) == {"ambiguous labels": 4}
    assert of("shop", found).ts.min() == START + 2 * MINUTE


async def test_rows_ahead_of_the_clock_are_skew_and_complained_of_once(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    now = START + 600 + 10
    minutes.run("ALTER TABLE minutes DELETE WHERE p99_ms > 15 SETTINGS mutations_sync = 2")
    mine = source(asked, template(), now=now)
    found = await mine.range(START, START + 600)
    assert faults(found) == {"clock skew": 3}  # the one that begins next may be there
    assert "2023-11-14" not in found.complaints[0].example
    assert faults(await mine.range(START, START + 600)) == {}


@pytest.mark.usefixtures("minutes")
async def test_rows_that_were_not_asked_for_are_no_telemetry(asked: Asked) -> None:
    sql = PLAIN.replace("time <", "time <= 86400 +").replace("time >=", "time + 120 >=")
    found = await source(asked, template(sql)).range(START + 600, START + 1200)
    assert found.telemetry.ts.min() == START + 600
    assert found.telemetry.ts.max() == START + 1140
    assert faults(found) == {"schema": 42}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (template(entity="shop_name"), "no column 'shop_name'; it has entity, time"),
        (template(time="day"), "no column 'day'"),
        (template(PLAIN.replace("SELECT entity", "SELECT 1 AS entity")), "holds uint8 and no text"),
        (template(PLAIN.replace("time,", "toDate(time) AS time,")), "no moment"),
        (template(PLAIN.replace("FROM minutes", "FROM hours")), "UNKNOWN_TABLE"),
        (template(PLAIN.replace("p99_ms", "p98_ms")), "UNKNOWN_IDENTIFIER"),
        (template(PLAIN + ")"), "Syntax error"),
        (RAW | {"entity": "shop"}, "Unknown expression or function identifier `shop`"),
    ],
)
@pytest.mark.usefixtures("minutes")
async def test_what_cannot_work_is_refused_with_the_reason(
    asked: Asked, query: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SourceRefusedError, match="'prod' refused") as refused:
        await source(asked, query).range(START, START + 600)
    assert reason in str(refused.value)


@pytest.mark.usefixtures("minutes")
async def test_a_metric_without_its_column_leaves_the_others(asked: Asked) -> None:
    query = template()
    query["metrics"]["p50_ms"] = {"column": "median"}
    found = await source(asked, query).range(START, START + 600)
    assert faults(found) == {"schema": 10}
    assert "no column 'median'" in found.complaints[0].example
    assert len(found.telemetry) == 10


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO minutes SELECT {from:DateTime64(3)}, {to:DateTime64(3)}",
        "ALTER TABLE minutes DELETE WHERE time > {from:DateTime64(3)} OR time < {to:DateTime64(3)}",
        PLAIN + " SETTINGS readonly = 0",
    ],
)
@pytest.mark.parametrize("user", [None, "strict", "settling"])
async def test_nothing_is_written(
    minutes: ClickhouseServer, tmp_path: Path, user: str | None, sql: str
) -> None:
    secret = tmp_path / "password"
    secret.write_text(user or "")
    mine = Asked(
        "prod",
        minutes.url,
        random=lambda: 0.5,
        user=user,
        password_file=None if user is None else secret,
    )
    with pytest.raises(SourceRefusedError, match="readonly"):
        await source(mine, template(sql)).range(START, START + 600)
    await mine.close()
    assert minutes.run("SELECT count() FROM minutes").strip() == "60"


async def test_a_wrong_password_is_told_and_not_shown(
    minutes: ClickhouseServer, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wr0ng")
    mine = Asked("prod", minutes.url, random=lambda: 0.5, user="reader", password_file=secret)
    with pytest.raises(KeyRefusedError, match="password_file") as refused:
        await source(mine, template()).range(START, START + 600)
    assert "wr0ng" not in str(refused.value)
    secret.write_text("p@ss/word")  # it is read again
    assert len((await source(mine, template()).range(START, START + 600)).telemetry) == 10
    await mine.close()
    assert not any("p%40ss" in each or "p@ss" in each for each in minutes.asked())


async def test_what_is_too_much_at_once_is_asked_for_in_pieces(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = await source(asked, RAW).range(START, START + 3600)
    monkeypatch.setattr(bounds, "MOST_ROWS", 10)
    small = Asked("prod", asked._connection._url, random=lambda: 0.5)
    found = await source(small, RAW).range(START, START + 3600)
    assert len(found.telemetry) == len(expected.telemetry) == 120
    monkeypatch.setattr(bounds, "MOST_ROWS", 1)
    none = Asked("prod", asked._connection._url, random=lambda: 0.5)
    with pytest.raises(TooMuchAskedError):
        await source(none, RAW).range(START, START + 3600)
    for each in (small, none):
        await each.close()


async def test_the_oldest_row_is_found(asked: Asked, minutes: ClickhouseServer) -> None:
    assert await source(asked, RAW).oldest() == START
    assert await source(asked, template()).oldest() == 0  # nobody knows
    none = RAW | {"where": [{"column": "service", "value": "nobody"}]}
    assert await source(asked, none).oldest() is None
    by_number = RAW | {"table": "numbered", "time": "ms", "time_unit": "ms", "series": []}
    minutes.run(
        "CREATE OR REPLACE TABLE numbered ENGINE = MergeTree ORDER BY ms AS SELECT"
        " toUnixTimestamp64Milli(at) AS ms, service, duration_ms, status, waiting FROM requests"
    )
    numbered = source(asked, by_number)
    assert await numbered.oldest() == START
    found = await numbered.range(START, START + 3600)
    assert set(of("shop", found).p50_ms) == {20.0}
    assert len(of("shop", found)) == 60


async def test_intervals_are_given_when_they_are_over_and_their_rows_may_be_there(
    asked: Asked,
) -> None:
    end = START + 600
    before = await source(asked, RAW, now=end + 29, lateness=30).range(START, end)
    assert before.telemetry.ts.max() == end - 2 * MINUTE
    assert before.until == end - MINUTE
    after = await source(asked, RAW, now=end + 30, lateness=30).range(START, end)
    assert after.telemetry.ts.max() == end - MINUTE
    assert after.until is None
    late = await source(asked, RAW, now=end, lateness=600).range(end - MINUTE, end)
    assert late.until == START, "so long ago are the first that are whole"


async def test_a_table_that_is_empty_lately_is_asked_again_for_a_while(asked: Asked) -> None:
    end = START + 3600
    mine = source(asked, RAW, now=end + 600)
    found = await mine.range(end - 120, end + 600)
    assert (len(found.telemetry), found.until) == (4, end)
    later = source(asked, RAW, now=end + PATIENCE_SECONDS + 610)
    found = await later.range(end, end + PATIENCE_SECONDS + 600)
    assert (len(found.telemetry), found.until) == (0, end + 600)


async def test_nobody_there_and_nobody_answering_are_away(server: ClickhouseServer) -> None:
    brief = Limits(pause_seconds=0.001)
    nobody = Asked("prod", "http://127.0.0.1:9", random=lambda: 0.5, limits=brief)
    with pytest.raises(SourceAwayError, match="nothing answers at"):
        await source(nobody, RAW).range(START, START + 60)
    await nobody.close()
    quick = Limits(answer_seconds=0.3, pause_seconds=0.001)
    slow = Asked("prod", server.url, random=lambda: 0.5, limits=quick)
    server.freeze()
    try:
        with pytest.raises(SourceAwayError, match=r"took over 0\.3 s"):
            await source(slow, RAW).range(START, START + 60)
    finally:
        server.thaw()
    await slow.close()


OF_MINUTES = {
    "kind": "table",
    "table": "minutes",
    "entity": "entity",
    "time": "time",
    "metrics": {
        "request_rate": {"kind": "gauge", "column": "request_rate", "over": "sum"},
        "error_rate": {"kind": "gauge", "column": "error_rate"},
        "p99_ms": {"kind": "gauge", "column": "p99_ms"},
    },
}


async def test_a_table_of_intervals_gives_what_the_users_own_sql_gives(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    minutes.run("INSERT INTO minutes SELECT time, 'odd''s', 1, 0, 2, 'eu' FROM minutes LIMIT 5")
    own = await source(asked, template()).range(START, START + 3600)
    made = await source(asked, OF_MINUTES).range(START, START + 3600)
    order = np.lexsort((own.telemetry.ts, own.telemetry.entity))
    for name, values in own.telemetry.rows(order).columns().items():
        np.testing.assert_array_equal(values, made.telemetry.columns()[name], err_msg=name)
    assert made.complaints == ()


async def test_rows_that_were_inserted_twice_count_once(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    expected = await source(asked, OF_MINUTES).range(START, START + 600)
    minutes.run("INSERT INTO minutes SELECT * FROM minutes WHERE p99_ms < 4")
    found = await source(asked, OF_MINUTES).range(START, START + 600)
    assert faults(found) == {"duplicate": 4}
    rates = [each.telemetry.request_rate.tolist() for each in (found, expected)]
    assert rates[0] == rates[1]


async def test_series_that_nothing_tells_apart_are_not_mixed(
    asked: Asked, minutes: ClickhouseServer
) -> None:
    minutes.run("INSERT INTO minutes SELECT time, entity, 5, 1, 5, 'us' FROM minutes LIMIT 2")
    found = await source(asked, OF_MINUTES).range(START, START + 600)
    assert faults(found) == {"ambiguous labels": 2}
    assert len(found.telemetry) == 8
    by_region = OF_MINUTES | {"series": ["region"]}
    told_apart = await source(asked, by_region).range(START, START + 600)
    assert told_apart.complaints == ()
    assert told_apart.telemetry.request_rate[0] == 5.0  # 0 of eu, 5 of us
