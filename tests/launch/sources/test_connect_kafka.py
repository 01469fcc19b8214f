"""`ballast connect kafka` and what is said of such sources, with a real broker and a real Redis."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config_store.sources import KafkaSource
from config_store.store import ConfigStore
from features.sources.kafka import reader
from tests.kafka_broker import KafkaBroker, running
from tests.launch.sources.test_connect_logs import invoke, sources

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaBroker]:
    monkeypatch.setattr(reader, "WAIT_SECONDS", 0.2)
    begin = int(time.time()) // 60 * 60 - 600
    with running(tmp_path) as found:
        for topic in ("shop", "empty", "letters"):
            found.create(topic)
        rows = [
            {"entity": each, "ts": begin + 60 * at, "request_rate": 2.5 * at, "cpu": 0.1}
            for at in range(10)
            for each in ("orders", "search")
        ]
        found.produce("shop", [json.dumps(each).encode() for each in rows] + [b"{not so"])
        found.produce("letters", [b"dear all"])
        yield found


async def test_a_topic_is_looked_at_shown_connected_and_checked(
    redis: Redis, broker: KafkaBroker
) -> None:
    words = ["connect", "kafka", broker.address, "shop", "--name", "orders"]
    dry = await invoke(*words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert await redis.get(ConfigStore(redis).active_key) is None
    unsaid = await invoke(*words)
    assert unsaid.exit_code == 1
    assert "again with --yes" in unsaid.output

    done = await invoke(*words, "--yes", "--cadence", "30", "--history-days", "3")
    assert done.exit_code == 0, done.output
    said = "json: the newest 21 messages of 1 partition give 20 rows of 2 entities: orders, search."
    assert said in done.output
    assert re.search(r"request_rate +100% +0 +22\.5", done.output)
    assert re.search(r"orders +2\d{3}-\d\d-\d\d \d\d:\d\d:00Z +22\.5 +0\.1", done.output)
    assert re.search(r"p99_ms +not trained: ", done.output)
    assert "schema, 1 times: partition 0, offset 20: body:" in done.output
    source = (await sources(redis))["orders"]
    assert source == KafkaSource(
        servers=(broker.address,), topic="shop", cadence_seconds=30, history_days=3
    )
    listed = (await invoke("sources", "list")).output
    assert re.search(rf"orders +kafka +unknown +shop at {broker.address}", listed)
    checked = await invoke("sources", "check", "orders")
    assert checked.exit_code == 0, checked.output
    assert "orders answers: the newest 21 messages" in checked.output
    assert "request_rate    in 100% of the rows, from 0 to 22.5" in checked.output
    assert re.search(r"The newest interval began \d+ s ago\.", checked.output)


async def test_what_cannot_be_connected_is_said_in_a_sentence(broker: KafkaBroker) -> None:
    for words, sentence in (
        ((broker.address, "nowhere"), "there is no such topic"),
        ((broker.address, "empty"), "has no message yet. Write one, or say --format"),
        ((broker.address, "letters"), "no message is telemetry as /telemetry takes it. As JSON:"),
        (("broker", "shop"), "This cannot be connected: servers 0:"),
        ((broker.address, "shop", "--user", "me"), "give both user and password_file"),
        ((broker.address, "shop", "--ca-file", "ca.pem"), "set tls to true"),
    ):
        done = await invoke("connect", "kafka", *words, "--dry-run")
        assert done.exit_code == 1, done.output
        assert sentence in " ".join(done.output.split())
    empty = await invoke(
        "connect", "kafka", broker.address, "empty", "--format", "csv", "--dry-run"
    )
    assert empty.exit_code == 0, empty.output
    assert "the newest 0 messages of 1 partition give 0 rows" in empty.output
