"""`ballast connect candles` with a real Redis and an upstream behind real HTTP."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config_store.sources import CandlesSource
from config_store.store import ConfigStore
from tests.candle_server import CandleServer, candle, upstream
from tests.launch.sources.test_connect_logs import invoke, sources

pytestmark = pytest.mark.usefixtures("settings")

MINUTE = 60


@pytest.fixture
def server() -> Iterator[CandleServer]:
    begin = int(time.time()) // MINUTE * MINUTE - 120 * MINUTE
    candles = [candle(begin + MINUTE * each, traded=600.0) for each in range(240)]
    with upstream({"BTC-USD": candles, "ETH-USD": candles}) as found:
        yield found


async def test_an_upstream_is_looked_at_shown_connected_and_checked(
    redis: Redis, server: CandleServer, tmp_path: Path
) -> None:
    saved = tmp_path / "mapping.json"
    words = ["connect", "candles", server.url]
    dry = await invoke(*words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert await redis.get(ConfigStore(redis).active_key) is None
    unsaid = await invoke(*words)
    assert unsaid.exit_code == 1
    assert "again with --yes" in unsaid.output

    done = await invoke(*words, "--yes", "--save-mapping", str(saved), "--exchange", "XNYS")
    assert done.exit_code == 0, done.output
    assert "has candles of 2 symbols: BTC-USD, ETH-USD." in done.output
    assert re.search(r"request_rate +100% +trades, a second", done.output)
    assert re.search(r"BTC-USD +1\s", done.output)
    assert re.search(r"p99_ms +not trained: ", done.output)
    source = (await sources(redis))["candles"]
    assert isinstance(source, CandlesSource)
    assert source.symbols == ("BTC-USD", "ETH-USD")
    assert source.exchange == "XNYS"
    assert json.loads(saved.read_text()) == source.mapping.model_dump(mode="json")

    listed = (await invoke("sources", "list")).output
    assert re.search(rf"candles +candles +unknown +{server.url}", listed)
    checked = await invoke("sources", "check", "candles")
    assert checked.exit_code == 0, checked.output
    assert "candles answers: 20 rows of 2 entities in the last 10 min" in checked.output
    again = await invoke(*words, "--yes")
    assert again.exit_code == 1
    assert "connected already" in again.output

    # A mapping that was saved, corrected by hand and published.
    volume = {"request_rate": {"kind": "per_second", "field": "volume"}}
    saved.write_text(json.dumps(json.loads(saved.read_text()) | {"metrics": volume}))
    corrected = await invoke("sources", "correct", "candles", str(saved))
    assert corrected.exit_code == 0, corrected.output
    after = (await sources(redis))["candles"]
    assert isinstance(after, CandlesSource)
    assert after.mapping.metrics["request_rate"].field == "volume"


async def test_a_mapping_of_ones_own_is_connected_as_it_is(
    redis: Redis, server: CandleServer, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"metrics": {"load": {"kind": "level", "field": "close"}}}))
    words = ["connect", "candles", server.url, "--mapping", str(own), "--yes"]
    unnamed = await invoke(*words)
    assert unnamed.exit_code == 1
    assert "--symbol" in unnamed.output
    done = await invoke(*words, "--symbol", "ETH-USD", "--name", "eth", "--cadence", "60")
    assert done.exit_code == 0, done.output
    source = (await sources(redis))["eth"]
    assert isinstance(source, CandlesSource)
    assert [*source.mapping.metrics] == ["load"]


async def test_what_cannot_be_connected_is_said_in_a_sentence(
    server: CandleServer, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"metrics": {"load": {"kind": "per_second", "field": "trades"}}}')
    for words, sentence in (
        ((server.url, "--symbol", "GONE"), "no symbol GONE"),
        ((server.url, "--cadence", "120"), "candles are of 60, 300, 900, 1800, 3600 seconds"),
        ((server.url, "--exchange", "nyse"), "exchange"),
        ((f"{server.url}/nowhere",), "/symbols"),
        (("http://me:pear-tree@127.0.0.1:1",), "The URL holds a password"),
        ((server.url, "--symbol", "A", "--symbol", "A"), "more than once"),
        ((server.url, "--mapping", str(wrong)), "names.trades does not say"),
    ):
        done = await invoke("connect", "candles", *words, "--dry-run")
        assert done.exit_code == 1, done.output
        assert sentence in " ".join(done.output.split())
        assert "pear-tree" not in done.output
