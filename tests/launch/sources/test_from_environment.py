"""PROMETHEUS_URL at a first start, with a real Redis and a real Prometheus."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from config_store.alias_follower import AliasFollower
from config_store.sources import PrometheusSource
from config_store.store import ConfigStore
from launch.bootstrap import prepare_redis
from launch.sources.from_environment import connect_named
from settings.environment import Settings
from tests.ports import any_free_port
from tests.prometheus_server import PrometheusServer, running
from tests.scraped import counter, gauge, histogram, openmetrics


def soon() -> int:
    """Give the end of series that are still scraped: a run may come to this file late."""
    return int(time.time()) // 60 * 60 + 300


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusServer]:
    series = [
        counter("http_requests_total", 9, job="orders", status="200"),
        *histogram("http_request_duration_seconds", 10, {"job": "orders"}),
    ]
    with running(openmetrics(series, soon(), seconds=2400)) as server:
        yield server


def with_url(settings: Settings, url: str | None) -> Settings:
    return settings.model_copy(update={"prometheus_url": url})


async def started(settings: Settings) -> str:
    """Do what a start does with its Redis, and give what it says of the variable."""
    await prepare_redis(settings)
    return await asyncio.to_thread(connect_named, settings)


async def test_one_that_measures_requests_is_connected_at_the_first_start_only(
    settings: Settings, redis: Redis, prometheus: PrometheusServer
) -> None:
    settings = with_url(settings, prometheus.url)
    said = await started(settings)
    assert "was connected as the source prometheus" in said
    assert "measures 1 service, named by the label job; it lacks" in said
    named = (await ConfigStore(redis).active()).document.sources.named
    assert isinstance(named["prometheus"], PrometheusSource)
    assert {"request_rate", "p99_ms"} <= named["prometheus"].mapping.metrics.keys()
    assert await started(settings) == ""
    assert (await ConfigStore(redis).active()).number == 2


async def test_that_models_were_pinned_at_a_start_is_nobodys_change(
    settings: Settings, redis: Redis, prometheus: PrometheusServer
) -> None:
    await prepare_redis(settings)
    settings.paths.models.mkdir(parents=True)
    await AliasFollower(redis, settings.paths.models, time.time).step()
    assert (await ConfigStore(redis).active()).number == 2
    assert "was connected" in await started(with_url(settings, prometheus.url))
    active = await ConfigStore(redis).active()
    assert (active.number, set(active.document.sources.named)) == (3, {"prometheus"})


async def test_one_that_lacks_latency_is_left_to_the_command(
    settings: Settings, redis: Redis
) -> None:
    series = [
        counter("http_requests_total", 9, job="orders", status="200"),
        gauge("up", 1, job="orders"),
    ]
    with running(openmetrics(series, soon(), seconds=2400)) as server:
        said = await started(with_url(settings, server.url))
    assert "was not connected: p95_ms or p99_ms was not found there" in said
    assert f"`ballast connect prometheus {server.url}`" in said
    assert (await ConfigStore(redis).active()).number == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "127.0.0.1:{port}"])
async def test_one_that_is_away_does_not_keep_a_start_up(
    settings: Settings, redis: Redis, url: str
) -> None:
    url = url.format(port=any_free_port())
    said = await started(with_url(settings, url))
    assert "nothing answers at" in said
    assert f"`ballast connect prometheus {url}`" in said
    assert (await ConfigStore(redis).active()).number == 1


@pytest.mark.parametrize("url", ["http://ada:hunter2@127.0.0.1:9", "ftp://127.0.0.1:9", ""])
async def test_what_cannot_be_an_address_is_said_and_no_password_is(
    settings: Settings, url: str
) -> None:
    said = await started(with_url(settings, url))
    assert "was not connected" in said
    assert "hunter2" not in said


async def test_without_the_variable_nothing_is_said(settings: Settings) -> None:
    assert await started(with_url(settings, None)) == ""
