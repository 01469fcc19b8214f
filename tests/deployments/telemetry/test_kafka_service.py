"""A topic is followed by what the configuration says of it at any moment."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from config_store.sources import KafkaSource, SourcesConfig
from features.sources.kafka import reader
from features.telemetry.tables import create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from settings.environment import Settings
from tests.deployments.telemetry.posting import MINUTE, a_minute
from tests.deployments.telemetry.test_service import Service
from tests.kafka_broker import KafkaBroker, running
from tests.waiting import eventually


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaBroker]:
    monkeypatch.setattr(reader, "WAIT_SECONDS", 0.2)
    with running(tmp_path) as found:
        found.create("shop")
        yield found


@pytest_asyncio.fixture
async def service(
    redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
    with EmbeddedClickhouse(tmp_path / "history") as store:
        create_tables(store)
        create_measurements(store)
        found = Service(store, redis, Settings())
        await found.service.start()
        yield found
        await found.close()


def body(minute: int) -> bytes:
    row = {"entity": "billing", "ts": a_minute() + minute * MINUTE, "cpu": 0.5}
    return json.dumps(row).encode()


async def test_a_topic_is_followed_paused_resumed_and_forgotten(
    broker: KafkaBroker, service: Service
) -> None:
    source = KafkaSource(servers=(broker.address,), topic="shop")

    def positions() -> list[dict[str, Any]]:
        return service.store.query(
            "SELECT source, max(ends) AS at FROM kafka_reads GROUP BY source"
        )

    async def are(state: str) -> None:
        async def told() -> bool:
            return bool(await service.states() == {"shop": state})

        await eventually(told)

    broker.produce("shop", [body(0), body(9)])
    await service.activate(SourcesConfig(named={"shop": source}))
    await eventually(lambda: service.present() == {"shop": 2})
    await are("live")
    sample = service.metrics.registry.get_sample_value
    assert sample("source_breaker_open", {"source": "shop"}) == 0

    paused = source.model_copy(update={"paused": True})
    await service.activate(SourcesConfig(named={"shop": paused}))
    await are("paused")
    broker.produce("shop", [body(1)])
    await service.activate(SourcesConfig(named={"shop": source}))
    counted = "SELECT count() AS rows FROM measurements FINAL"
    await eventually(lambda: service.store.query(counted) == [{"rows": 3}])
    await eventually(lambda: positions() == [{"source": "shop", "at": 3}])

    await service.activate(SourcesConfig(named={"shop": paused}))
    await are("paused")
    await service.activate(SourcesConfig())
    await eventually(lambda: positions() == [])
    assert "shop" in service.present()
