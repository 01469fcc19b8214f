"""What is proposed for tables as people have them, against the real engine."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from features.errors import NothingUsableError
from features.sources.clickhouse.columns_used import Stated
from features.sources.clickhouse.proposal import TableProposal, propose
from features.sources.clickhouse.rules import GaugeOf, QuantileOf, Query, RateOf, RatioOf
from features.sources.clickhouse.server import ClickhouseServer as Asked
from features.sources.clickhouse.source import ClickhouseSource
from features.sources.clickhouse.template_columns import template_of
from tests.clickhouse_server import ClickhouseServer, running_clickhouse

NOW = 1_700_000_040
DOCUMENT = Path(__file__).parents[4] / "docs" / "sources" / "clickhouse.md"
STATEMENTS = (
    "CREATE DATABASE obs",
    """CREATE TABLE obs.otel_traces ENGINE = MergeTree ORDER BY (ServiceName, Timestamp) AS
    SELECT toDateTime64(NOW - number * 0.5, 9) AS Timestamp, 'x' AS TraceId,
           CAST(if(number % 3, 'Server', 'Internal') AS LowCardinality(String)) AS SpanKind,
           CAST(['cart', 'pay'][number % 2 + 1] AS LowCardinality(String)) AS ServiceName,
           toUInt64((number % 100 + 1) * 1000000) AS Duration,
           CAST(if(number % 20 = 0, 'Error', 'Unset') AS LowCardinality(String)) AS StatusCode
    FROM numbers(7200)""",
    "CREATE DATABASE shop",
    """CREATE TABLE shop.minutes ENGINE = MergeTree ORDER BY (service, minute) AS
    SELECT toDateTime(intDiv(NOW, 60) * 60 - intDiv(number, 4) * 60) AS minute,
           ['cart', 'pay'][number % 2 + 1] AS service, toString(intDiv(number, 2) % 2) AS pod,
           600 AS requests, 6 AS errors, 80.0 AS latency_p99_ms, 37.5 AS cpu_usage,
           30 AS memory_used_bytes, 40 AS memory_limit_bytes, 3 AS queue_length, 'n' AS notes
    FROM numbers(400)""",
    """CREATE TABLE shop.access ENGINE = MergeTree ORDER BY time_ms AS
    SELECT toUInt64((NOW - number) * 1000) AS time_ms, 'web-1' AS host, 0.1 AS request_time,
           if(number % 10 = 0, '503', '200') AS status
    FROM numbers(1000)""",
    "CREATE TABLE shop.people (name String, born Date) ENGINE = MergeTree ORDER BY name",
    """CREATE TABLE shop.requests ENGINE = MergeTree ORDER BY at AS
    SELECT toDateTime64(NOW - number, 3) AS at, 'shop' AS service,
           number % 50 + 1.0 AS duration_ms,
           duration_ms / 1000 AS duration_s, if(number % 10 = 0, 500, 200) AS status,
           'prod' AS env, 'a' AS pod, 2.0 AS waiting
    FROM numbers(3600)""",
)


@pytest.fixture(scope="module")
def server() -> Iterator[ClickhouseServer]:
    with running_clickhouse(*(each.replace("NOW", str(NOW)) for each in STATEMENTS)) as started:
        yield started


@pytest.fixture
async def asked(server: ClickhouseServer) -> AsyncIterator[Asked]:
    asked = Asked("prod", server.url, random=lambda: 0.5)
    yield asked
    await asked.close()


async def look(asked: Asked, stated: Stated = Stated(), **where: str) -> TableProposal:  # noqa: B008 - it is frozen
    return await propose(asked, now=NOW + 1, cadence_seconds=60, stated=stated, **where)


async def test_spans_of_opentelemetry_are_known(asked: Asked) -> None:
    found = await look(asked, database="obs")
    rules = found.rules
    assert (rules.entity, rules.time, rules.database) == ("ServiceName", "Timestamp", "obs")
    p99 = rules.metrics["p99_ms"]
    assert isinstance(p99, QuantileOf)
    assert (p99.column, p99.times) == ("Duration", 1e-6)
    rows = found.sample.telemetry
    assert set(rows.entity) == {"cart", "pay"}
    np.testing.assert_allclose(rows.request_rate[rows.ts == NOW - 60], 40 / 60)
    assert rows.p99_ms.max() == 100.0
    assert found.missing == ("load", "infra", "cpu", "memory", "queue_depth", "active_workers")


async def test_a_table_of_intervals_is_preferred_where_it_says_most(asked: Asked) -> None:
    found = await look(asked, database="shop", table="minutes")
    metrics = found.rules.metrics
    assert found.rules.series == ("pod",)
    assert isinstance(metrics["request_rate"], RateOf)
    assert isinstance(metrics["error_rate"], RatioOf)
    cpu = metrics["cpu"]
    assert isinstance(cpu, GaugeOf)
    assert cpu.times == 0.01, "37.5 is no share"
    assert any("37.5" in use.caveat for use in found.used.uses)
    rows = found.sample.telemetry
    for name, value in {
        "request_rate": 20.0,
        "error_rate": 0.01,
        "cpu": 0.375,
        "memory": 0.75,
        "queue_depth": 6.0,
        "p99_ms": 80.0,
    }.items():
        assert set(rows.columns()[name]) == {value}, name
    assert found.sample.complaints == ()
    everywhere = await look(asked)
    assert "shop.people" not in everywhere.others
    assert {everywhere.used.table.full_name, *everywhere.others} >= {
        "shop.minutes",
        "obs.otel_traces",
    }


async def test_a_number_is_a_time_and_a_latency_needs_its_unit(asked: Asked) -> None:
    where = {"database": "shop", "table": "access"}
    without = await look(asked, Stated(time="time_ms"), **where)
    assert without.rules.time_unit == "ms"
    assert without.used.without_unit == ("request_time",)
    assert {"request_rate", "error_rate"} == without.rules.metrics.keys()
    told = await look(asked, Stated(time="time_ms", latency_times=1000.0), **where)
    rows = told.sample.telemetry
    assert set(rows.p50_ms) == {100.0}
    assert told.newest == NOW
    assert round(float(rows.error_rate.mean()), 2) == 0.1


@pytest.mark.parametrize(
    ("where", "stated", "reason"),
    [
        ({"table": "nothing"}, Stated(), "it has no table nothing"),
        ({"database": "shop", "table": "people"}, Stated(), "shop.people has name String"),
        ({"database": "shop"}, Stated(entity="svc"), "no table has the column svc"),
    ],
)
async def test_where_nothing_can_be_used_the_reason_is_told(
    asked: Asked, where: dict[str, str], stated: Stated, reason: str
) -> None:
    with pytest.raises(NothingUsableError) as refused:
        await look(asked, stated, **where)
    assert reason in str(refused.value)


def block(language: str) -> str:
    text = DOCUMENT.read_text().split("## SQL of")[1]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


async def gathered(asked: Asked, query: Query) -> Any:
    source = ClickhouseSource(
        "prod", asked, query, lambda: NOW + 1, cadence_seconds=60, lateness_seconds=0
    )
    return await source.range(NOW - 600, NOW)


async def test_the_sql_of_the_documentation_runs_as_it_says(asked: Asked) -> None:
    sql = block("sql")
    template = await template_of(asked, sql, now=NOW, cadence_seconds=60, stated=Stated())
    assert (template.entity, template.time) == ("service", "time")
    assert template.metrics.keys() == {"request_rate", "error_rate", "p99_ms"}
    found = await gathered(asked, template)
    assert set(found.telemetry.request_rate) == {1.0}
    assert found.complaints == ()


async def test_the_mapping_of_the_documentation_runs_as_it_says(asked: Asked) -> None:
    rules: Query = TypeAdapter(Query).validate_json(block("json"))
    found = await gathered(asked, rules)
    assert set(found.telemetry.request_rate) == {1.0}
    assert set(found.telemetry.error_rate) == {0.1}
    assert set(found.telemetry.queue_depth) == {2.0}
    assert set(found.telemetry.p99_ms) == {50.0}


async def test_sql_without_a_metric_says_how_to_name_them(asked: Asked) -> None:
    sql = block("sql").replace("AS request_rate", "AS a").replace("AS error_rate", "AS b")
    with pytest.raises(NothingUsableError, match="Name them by AS: request_rate"):
        await template_of(
            asked,
            sql.replace("AS p99_ms", "AS c"),
            now=NOW,
            cadence_seconds=60,
            stated=Stated(),
        )
