"""A folder of chDB gives what a server gives, with the same SQL."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from features.errors import SourceAwayError, SourceRefusedError, TooMuchAskedError
from features.sources.clickhouse.embedded import EmbeddedClickhouse
from features.sources.clickhouse.rules import Query
from features.sources.clickhouse.server import ClickhouseServer as Asked
from features.sources.clickhouse.source import ClickhouseSource
from features.telemetry.columns import Telemetry
from tests.clickhouse_server import ClickhouseServer

START = 1_700_000_040
CREATE = (
    "CREATE TABLE requests ENGINE = MergeTree ORDER BY at AS"  # noqa: S608 - our own numbers
    f" SELECT toDateTime64({START} + number, 3) AS at, 'shop' AS service, number % 7 / 3 AS ms"
    " FROM numbers(3600)"
)
MAKE = "import sys; from chdb.session import Session; Session(sys.argv[1]).query(sys.argv[2])"
QUERY: Query = TypeAdapter(Query).validate_python(
    {
        "kind": "table",
        "table": "requests",
        "entity": "service",
        "time": "at",
        "metrics": {
            "request_rate": {"kind": "rows"},
            "p95_ms": {"kind": "quantile", "column": "ms", "level": 0.95},
        },
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("theirs") / "chdb"
    subprocess.run([sys.executable, "-c", MAKE, str(made), CREATE], check=True)
    return made


async def telemetry(engine: EmbeddedClickhouse | Asked) -> Telemetry:
    source = ClickhouseSource(
        "it", engine, QUERY, lambda: START + 7200, cadence_seconds=60, lateness_seconds=0
    )
    found = await source.range(START, START + 3600)
    assert found.complaints == ()
    return found.telemetry


async def test_the_folder_gives_what_a_server_gives_and_is_only_read(folder: Path) -> None:
    embedded = EmbeddedClickhouse("it", str(folder))
    mine = await telemetry(embedded)
    for sql in ("INSERT INTO requests SELECT now64(3), 'x', 1", "DROP TABLE requests"):
        with pytest.raises(SourceRefusedError, match="readonly"):
            await embedded.ask(sql, {})
    with pytest.raises(TooMuchAskedError):
        await embedded.ask("SELECT number FROM numbers(300000)", {})
    assert len(mine) == len(await telemetry(embedded)) == 60
    await embedded.close()
    server = ClickhouseServer(folder)
    server.start()
    try:
        asked = Asked("it", server.url, random=lambda: 0.5)
        theirs = await telemetry(asked)
        await asked.close()
        # The server has the folder now.
        with pytest.raises(SourceAwayError, match="One process opens a folder at a time"):
            await embedded.ask("SELECT 1", {})
    finally:
        server.end()
    for name, values in theirs.columns().items():
        assert values.tobytes() == mine.columns()[name].tobytes(), name
    assert len(await telemetry(embedded)) == 60, "it is opened again once it is free"
    await embedded.close()


async def test_what_takes_too_long_is_ended_and_the_next_is_answered(folder: Path) -> None:
    embedded = EmbeddedClickhouse("it", str(folder))
    await embedded.ask("SELECT 1", {})
    embedded._seconds = 0.1
    with pytest.raises(SourceAwayError, match=r"took over 0\.1 s"):
        await embedded.ask("SELECT sleep(3)", {})
    embedded._seconds = 30.0
    assert (await embedded.ask("SELECT 1 AS a", {})).to_pylist() == [{"a": 1}]
    await embedded.close()


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    embedded = EmbeddedClickhouse("it", str(tmp_path / "none"))
    with pytest.raises(SourceAwayError, match="there is no folder"):
        await embedded.ask("SELECT 1", {})
    assert not (tmp_path / "none").exists()
    await embedded.close()
