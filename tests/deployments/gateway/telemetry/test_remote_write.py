"""POST /write: who may, what is taken, what is answered, and a real Prometheus that sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from redis.asyncio import Redis

from access.keys import Role
from config_store.sources import PushSource, RemoteWriteSource, SourceConfig, SourcesConfig
from features.sources.remote_write.stream import Arrived, SampleStream
from features.sources.rules import Gauge, Mapping, Quantile, Rate, Selector
from tests.deployments.house import House
from tests.features.sources.remote_write.messages import V1, Given, pack, write_v1, write_v2
from tests.ports import any_free_port
from tests.prometheus_server import running
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

SOURCE = RemoteWriteSource(
    mapping=Mapping(
        entity="job",
        metrics={
            "request_rate": Rate(of=Selector(name="prometheus_http_requests_total")),
            "queue_depth": Gauge(of=Selector(name="queue")),
            "p50_ms": Quantile(of=Selector(name="native"), native=True, level=0.5),
        },
    )
)
V1_HEADERS = {"content-encoding": "snappy", "content-type": "application/x-protobuf"}
V2_HEADERS = V1_HEADERS | {
    "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"
}
QUEUES = [
    Given({"__name__": "queue", "job": "orders", "pod": "1"}, [(1_764_000_000_000, 3.0)]),
    Given({"__name__": "queue", "job": "orders", "pod": "2"}, [(1_764_000_000_000, 4.0)]),
    Given({"__name__": "up", "job": "orders", "pod": "2"}, [(1_764_000_000_000, 1.0)]),
]
# Distinct samples of a real server: more than those of one scrape.
MANY = 6
Point = tuple[int, float]
WRITTEN = "x-prometheus-remote-write-{}-written"


async def configure(house: House, **named: SourceConfig) -> None:
    sources = SourcesConfig(named=named)
    await house.deploy(house.document.model_copy(update={"sources": sources}))


async def write(
    house: House,
    content: bytes,
    headers: dict[str, str] = V1_HEADERS,
    path: str = "/api/v1/write",
    role: Role = Role.CLIENT,
) -> httpx.Response:
    async with house.client(role) as client:
        return await client.post(path, content=content, headers=headers)


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    message: str = answer.json()["error"]["message"]
    return message


async def arrived(redis: Redis, source: str = "main") -> list[Arrived]:
    return await SampleStream(redis, source).read("0-0", 1000)


def values(entries: list[Arrived]) -> list[float]:
    return [float(value) for each in entries for value in each.samples.values]


async def test_what_the_mapping_needs_waits_in_redis(house: House, redis: Redis) -> None:
    await configure(house, main=SOURCE, rows=PushSource())
    for path in ("/write", "/api/v1/write", "/api/v1/write?source=main"):
        for content, headers in ((write_v1(QUEUES), V1_HEADERS), (write_v2(QUEUES), V2_HEADERS)):
            answer = await write(house, pack(content), headers, path)
            assert (answer.status_code, answer.content) == (204, b"")
            (entry,) = await arrived(redis)
            await SampleStream(redis, "main").let_go(entry.id)
            assert values([entry]) == [3.0, 4.0]
            assert [each.labels for each in entry.samples.series] == [(("job", "orders"),)] * 2
            assert set(entry.samples.times.tolist()) == {1_764_000_000_000}
    for kind, count in (("samples", "3"), ("histograms", "0"), ("exemplars", "0")):
        assert answer.headers[WRITTEN.format(kind)] == count


async def test_a_body_of_nothing_that_is_needed_leaves_nothing(house: House, redis: Redis) -> None:
    await configure(house, main=SOURCE)
    answer = await write(house, pack(write_v2(QUEUES[2:])), V2_HEADERS)
    assert answer.status_code == 204
    assert answer.headers[WRITTEN.format("samples")] == "1"
    assert await arrived(redis) == []


async def test_a_source_may_say_which_keys_write_to_it(house: House) -> None:
    _, operator, _ = house.keys[Role.OPERATOR].split("_", 2)
    await configure(house, main=SOURCE.model_copy(update={"keys": (operator,)}))
    assert (await write(house, pack(write_v1(QUEUES)))).status_code == 403
    found = await write(house, pack(write_v1(QUEUES)), role=Role.OPERATOR)
    assert found.status_code == 204


async def test_a_change_of_the_mapping_is_gone_by(house: House, redis: Redis) -> None:
    await configure(house, main=SOURCE)
    ups = Mapping(entity="job", metrics={"active_workers": Gauge(of=Selector(name="up"))})
    await write(house, pack(write_v1(QUEUES)))
    await configure(house, main=SOURCE.model_copy(update={"mapping": ups}))
    await write(house, pack(write_v1(QUEUES)))
    assert values(await arrived(redis)) == [3.0, 4.0, 1.0]


async def test_what_was_remembered_for_a_source_goes_with_it(house: House) -> None:
    await configure(house, main=SOURCE, other=SOURCE)
    for name in ("main", "other"):
        await write(house, pack(write_v1(QUEUES)), path=f"/write?source={name}")
    remembered = house.context.remote_writes._readers
    assert set(remembered) == {"main", "other"}
    await configure(house, main=PushSource(), other=SOURCE)
    await until(lambda: set(house.context.remote_writes._readers) == {"other"})
    assert house.context.remote_writes._readers["other"] is remembered["other"]


async def test_other_types_and_encodings_are_refused_so_that_a_sender_tries_another(
    house: House,
) -> None:
    await configure(house, main=SOURCE)
    for name, value, why in (
        ("content-encoding", "", "snappy"),
        ("content-encoding", "gzip", "'gzip'"),
        ("content-type", "application/json", "'application/json'"),
        ("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request", "v3"),
    ):
        answer = await write(house, pack(write_v1(QUEUES)), V1_HEADERS | {name: value})
        assert why in refusal(answer, 415)


async def test_what_cannot_be_read_is_not_to_be_sent_again(house: House) -> None:
    await configure(house, main=SOURCE)
    for raw in (b"", b"no snappy", pack(b"no protobuf")):
        assert "cannot be read" in refusal(await write(house, raw), 400)
    assert "33554432" in refusal(await write(house, pack(bytes(33_554_433))), 413)


async def test_a_part_that_is_refused_is_named_and_the_rest_is_taken(
    house: House, redis: Redis
) -> None:
    await configure(house, main=SOURCE)
    native = Given({"__name__": "native", "job": "orders"}, [])
    request = V1["WriteRequest"].FromString(write_v1([native, *QUEUES]))
    request.timeseries[0].histograms.add(sum=1.0, timestamp=1)
    answer = await write(house, pack(request.SerializeToString()))
    assert "classic buckets" in refusal(answer, 400)
    assert WRITTEN.format("samples") in answer.headers
    assert values(await arrived(redis)) == [3.0, 4.0]


async def test_a_source_must_be_there_and_be_the_one_that_is_meant(house: House) -> None:
    raw = pack(write_v1(QUEUES))
    await configure(house, rows=PushSource())
    assert "docs/sources/remote-write.md" in refusal(await write(house, raw), 409)
    assert "none" in refusal(await write(house, raw, path="/write?source=rows"), 404)
    await configure(house, main=SOURCE, other=SOURCE)
    assert "?source=main" in refusal(await write(house, raw), 409)
    await configure(house, main=SOURCE.model_copy(update={"paused": True}))
    answer = await write(house, raw)
    assert "paused" in refusal(answer, 503)
    assert answer.headers["retry-after"] == "60"


async def test_a_viewer_may_not_write_and_a_stranger_is_not_read(house: House) -> None:
    await configure(house, main=SOURCE)
    raw = pack(write_v1(QUEUES))
    assert "client" in refusal(await write(house, raw, role=Role.VIEWER), 403)
    async with house.stranger() as stranger:
        answer = await stranger.post("/api/v1/write", content=raw, headers=V1_HEADERS)
    refusal(answer, 401)


async def test_a_full_stream_and_a_redis_that_is_away_are_reasons_to_come_again(
    house: House, redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(house, main=SOURCE)
    raw = pack(write_v1(QUEUES))
    with monkeypatch.context() as patch:
        defaults = SampleStream.__init__.__kwdefaults__ or {}
        patch.setattr(SampleStream.__init__, "__kwdefaults__", defaults | {"most_bytes": 60})
        answer = await write(house, raw)
    assert "60 bytes" in refusal(answer, 503)
    assert answer.headers["retry-after"] == "10"
    assert await arrived(redis) == []
    redis_server.kill()
    try:
        answer = await write(house, raw)
    finally:
        redis_server.start()
    assert "Redis" in refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"


async def test_a_real_prometheus_writes_what_it_has_itself(house: House, redis: Redis) -> None:
    await configure(house, main=SOURCE)
    async with served(house) as url:
        config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: itself
    static_configs: [{{targets: ["localhost:{{port}}"]}}]
remote_write:
  - url: {url}/api/v1/write
    authorization: {{credentials: "{house.keys[Role.CLIENT]}"}}
    queue_config: {{batch_send_deadline: 1s, retry_on_http_429: true}}
"""
        with running() as server:
            await asyncio.to_thread(server.end)
            await asyncio.to_thread(server.start, config.replace("{port}", str(server.port)))
            found: set[Point] = set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(found) < MANY:
                    found = points(await arrived(redis))
                    await asyncio.sleep(0.05)
            async with httpx.AsyncClient(base_url=server.url) as client:
                query = {"query": "prometheus_http_requests_total[10m]"}
                answer: Any = (await client.get("/api/v1/query", params=query)).json()
    scraped = {
        (round(float(time) * 1000), float(value))
        for each in answer["data"]["result"]
        for time, value in each["values"]
    }
    assert found <= scraped


def points(entries: list[Arrived]) -> set[Point]:
    return {
        (int(time), float(value))
        for each in entries
        for time, value in zip(each.samples.times, each.samples.values, strict=True)
    }


@asynccontextmanager
async def served(house: House) -> AsyncIterator[str]:
    port = any_free_port()
    config = uvicorn.Config(
        house.ingress,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving
