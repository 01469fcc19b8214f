"""`ballast connect clickhouse` with a real Redis and the real engine behind HTTP."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.sources import ClickhouseSource
from config_store.store import ConfigStore
from features.sources.clickhouse.rules import Table, Template
from launch.cli import app
from tests.clickhouse_server import ClickhouseServer, running_clickhouse

# Every command goes by these settings.
pytestmark = pytest.mark.usefixtures("settings")

SQL = """
SELECT service, toStartOfMinute(at) AS time, count() / {cadence:UInt32} AS rps
FROM requests WHERE at >= {from:DateTime64(3)} AND at < {to:DateTime64(3)} GROUP BY service, time
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ClickhouseServer]:
    now = int(time.time())
    table = (
        "CREATE TABLE requests ENGINE = MergeTree ORDER BY at AS"  # noqa: S608 - our own numbers
        f" SELECT toDateTime({now} + 600 - number) AS at, 'checkout' AS service,"
        " 20.0 AS duration_ms, if(number % 4, 200, 500) AS status FROM numbers(3000)"
    )
    with running_clickhouse(table) as started:
        yield started


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["connect", *words]))


async def source(redis: Redis) -> ClickhouseSource:
    found = (await ConfigStore(redis).active()).document.sources.named["clickhouse"]
    assert isinstance(found, ClickhouseSource)
    return found


async def test_connecting_shows_the_sql_and_a_sample_and_makes_a_version(
    redis: Redis, server: ClickhouseServer, tmp_path: Path
) -> None:
    secret, saved = tmp_path / "password", tmp_path / "mapping.json"
    secret.write_text("p@ss/word")
    words = ["clickhouse", server.url, "--user", "reader", "--password-file", str(secret)]
    done = await invoke(*words, "--save-mapping", str(saved), "--yes")
    assert done.exit_code == 0, done.output
    assert "default.requests has" in done.output
    assert "the 0.99 quantile of duration_ms" in done.output
    assert "FROM `default`.`requests`" in done.output
    assert "checkout" in done.output
    assert "Without cpu:" in done.output
    assert "cpu_percent would give it" in " ".join(done.output.split())
    assert "clickhouse is connected: configuration version 2 is active." in done.output
    assert "p@ss" not in done.output
    connected = await source(redis)
    assert isinstance(connected.query, Table)
    assert connected.password_file == str(secret)
    assert Table.model_validate_json(saved.read_text()) == connected.query

    checked = await asyncio.to_thread(
        lambda: CliRunner().invoke(app, ["sources", "check", "clickhouse"])
    )
    assert checked.exit_code == 0, checked.output
    assert (
        "clickhouse answers: 10 rows of 1 entities in the last 10 min: checkout." in checked.output
    )
    assert "request_rate    in 100% of the rows, from 1 to 1" in checked.output
    assert "clock skew" in checked.output, "the table has rows of the next ten minutes"
    listed = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sources", "list"]))
    assert f"{server.url}/" in listed.output
    again = await invoke(*words, "--yes")
    assert "A source named clickhouse is connected already" in again.output


async def test_sql_of_the_users_own_is_connected(
    redis: Redis, server: ClickhouseServer, tmp_path: Path
) -> None:
    file = tmp_path / "services.sql"
    file.write_text(SQL)
    done = await invoke("clickhouse", server.url, "--sql", str(file), "--yes")
    assert done.exit_code == 0, done.output
    assert "request_rate    in 100% of the rows" in done.output
    query = (await source(redis)).query
    assert isinstance(query, Template)
    assert query.metrics["request_rate"].column == "rps"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["http://me:word@h:1"], "The URL may hold no user, password or database"),
        (["http://h:1/?database=shop"], "The URL may hold no user, password or database"),
        (["http://127.0.0.1:9"], "did not answer: nothing answers at"),
        (["HERE", "--table", "none"], "it has no table none"),
        (["HERE", "--user", "reader"], "See whether its user may read there"),
        (["HERE", "--cadence", "7"], "cadence"),
        (["HERE", "--table", "a", "--mapping", "b"], "Give one of --table, --sql and --mapping"),
        (["HERE", "--sql", "/nowhere"], "cannot be read"),
    ],
)
@pytest.mark.usefixtures("redis")
async def test_what_cannot_be_connected_is_told_in_a_sentence(
    server: ClickhouseServer, words: list[str], reason: str
) -> None:
    told = [server.url if word == "HERE" else word for word in words]
    done = await invoke("clickhouse", *told, "--dry-run")
    assert done.exit_code == 1
    assert reason in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
