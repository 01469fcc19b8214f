"""POST /telemetry/logs: who may, what is taken, and what is answered."""

import gzip
import time
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from access.keys import Role
from config_store.sources import PostedLogsSource, PushSource, SourceConfig, SourcesConfig
from features.sources.logs.batch import Batch
from features.sources.logs.config import LineRules
from features.sources.logs.content import LONGEST_LINE
from features.sources.logs.patterns import LineRead, LineReader
from features.sources.logs.posted import MOST_BYTES, MOST_LINES, MOST_UNPACKED_BYTES
from features.sources.logs.stream import LineStream
from tests.deployments.house import House
from tests.redis_server import RedisServer

RULES = LineRules.model_validate(
    {
        "entity_field": "service",
        "time": {"field": "at", "format": "s"},
        "latency": {"field": "ms"},
        "patterns": [
            {"kind": "error", "where": [{"field": "status", "at_least": 500}]},
            {"kind": "deploy", "where": [{"field": "message", "matches": "^deployed"}]},
        ],
    }
)
SOURCE = PostedLogsSource(lines=RULES)
NOW = int(time.time())
LINES = [
    orjson.dumps({"at": NOW - 3, "service": "orders", "ms": 0.1, "status": 200}),
    orjson.dumps({"at": NOW - 2.5, "service": "cart", "ms": 7, "status": 503}),
    orjson.dumps({"at": NOW - 1, "service": "orders", "message": "deployed v2"}),
]
BODY = b"\n".join(LINES)
SECRET = "hunter2"


async def configure(house: House, **named: SourceConfig) -> None:
    sources = SourcesConfig(named=named)
    await house.deploy(house.document.model_copy(update={"sources": sources}))


async def post(
    house: House,
    content: bytes = BODY,
    path: str = "/telemetry/logs",
    role: Role = Role.CLIENT,
    **headers: str,
) -> httpx.Response:
    async with house.client(role) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.post(path, content=content, headers=named)


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


async def waiting(redis: Redis, source: str = "shop") -> list[Batch]:
    return [each.batch for each in await LineStream(redis, source).read("0-0", 1000)]


async def test_lines_wait_in_redis_as_files_are_read(house: House, redis: Redis) -> None:
    await configure(house, shop=SOURCE, rows=PushSource())
    for path in ("/telemetry/logs", "/api/v1/telemetry/logs", "/telemetry/logs?source=shop"):
        for content in (BODY, BODY + b"\n", BODY.replace(b"\n", b"\r\n\r\n")):
            answer = await post(house, content, path, content_type="application/x-ndjson")
            assert answer.status_code == 202, answer.text
            assert answer.json() == {
                "source": "shop",
                "lines": 3,
                "accepted": 3,
                "complaints": [],
            }
    packed = await post(
        house, gzip.compress(BODY[:5]) + gzip.compress(BODY[5:]), content_encoding="gzip"
    )
    assert packed.json() == answer.json()
    batches = await waiting(redis)
    expected = [LineReader(RULES).read(each) for each in LINES]
    assert [list(each.lines) for each in batches] == [expected] * 10
    assert {type(each) for each in expected} == {LineRead}


async def test_a_body_that_is_sent_again_is_known_by_its_bytes_and_key(
    house: House, redis: Redis
) -> None:
    await configure(house, shop=SOURCE)
    await post(house)
    await post(house, gzip.compress(BODY), content_encoding="gzip")
    await post(house, idempotency_key="second")
    await post(house, BODY + b"\n")
    first, packed, keyed, other = (each.identity for each in await waiting(redis))
    assert first == packed
    assert len({first, keyed, other}) == 3


async def test_what_cannot_be_read_is_counted_and_never_quoted(house: House, redis: Redis) -> None:
    await configure(house, shop=SOURCE)
    wrong = {
        "schema": [
            b"password=" + SECRET.encode(),
            b'["%s"]' % SECRET.encode(),
            b'{"service": "orders", "at": "%s"}' % SECRET.encode(),
            b'{"service": "orders", "at": %d, "x": "%s"}' % (NOW, b"x" * LONGEST_LINE),
        ],
        "not a number": [b'{"at": %d, "service": "a", "ms": "%s"}' % (NOW, SECRET.encode())],
        "out of bounds": [b'{"at": %d, "service": "a", "ms": -1}' % NOW],
        "clock skew": [b'{"at": %d, "service": "a", "ms": 1}' % (NOW + 3600)],
        "late": [b'{"at": %d, "service": "a", "ms": 1}' % (NOW - 86_400)],
    }
    every = [line for lines in wrong.values() for line in lines]
    answer = await post(house, b"\n".join([*every, *LINES]))
    assert answer.status_code == 202
    assert answer.json()["lines"] == len(every) + 3
    assert answer.json()["accepted"] == 3
    counts = {each["fault"]: each["count"] for each in answer.json()["complaints"]}
    assert counts == {fault: len(lines) for fault, lines in wrong.items()}
    none = await post(house, b"\n".join(every))
    assert "clock skew" in refusal(none, 422)
    assert "no line" in refusal(await post(house, b" \n\n"), 422)
    (batch,) = await waiting(redis)
    assert {each.fault: each.count for each in batch.complaints} == counts
    entries: Any = await redis.xrange(LineStream(redis, "shop").name)
    (raw,) = entries
    for said in (answer.text, none.text, str(batch), str(raw)):
        assert SECRET not in said


async def test_what_is_too_large_or_broken_is_refused_before_it_is_read(
    house: House, redis: Redis
) -> None:
    await configure(house, shop=SOURCE)
    refusal(await post(house, bytes(MOST_BYTES + 1)), 413)
    bomb = gzip.compress(bytes(MOST_UNPACKED_BYTES + 1))
    assert str(MOST_UNPACKED_BYTES) in refusal(
        await post(house, bomb, content_encoding="gzip"), 413
    )
    many = gzip.compress(b"{}\n" * (MOST_LINES + 1))
    assert str(MOST_LINES) in refusal(await post(house, many, content_encoding="gzip"), 413)
    parts = gzip.compress(b"") * 1000
    assert "parts" in refusal(await post(house, parts, content_encoding="gzip"), 413)
    for broken in (BODY, gzip.compress(BODY)[:-9]):
        assert "gzip" in refusal(await post(house, broken, content_encoding="gzip"), 422)
    assert "'zstd'" in refusal(await post(house, content_encoding="zstd"), 415)
    assert await waiting(redis) == []


async def test_a_source_must_be_there_be_meant_and_know_the_key(house: House) -> None:
    await configure(house, rows=PushSource())
    assert "ballast connect logs" in refusal(await post(house), 409)
    assert "none" in refusal(await post(house, path="/telemetry/logs?source=rows"), 404)
    await configure(house, shop=SOURCE, other=SOURCE)
    assert "?source=other" in refusal(await post(house), 409)
    await configure(house, shop=SOURCE.model_copy(update={"paused": True}))
    paused = await post(house)
    assert "paused" in refusal(paused, 503)
    assert paused.headers["retry-after"] == "60"
    _, operator, _ = house.keys[Role.OPERATOR].split("_", 2)
    await configure(house, shop=SOURCE.model_copy(update={"keys": (operator,)}))
    refusal(await post(house), 403)
    assert (await post(house, role=Role.OPERATOR)).status_code == 202
    refusal(await post(house, role=Role.VIEWER), 403)
    async with house.stranger() as stranger:
        refusal(await stranger.post("/telemetry/logs", content=BODY), 401)


async def test_a_full_stream_and_a_redis_that_is_away_are_reasons_to_come_again(
    house: House, redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(house, shop=SOURCE)
    with monkeypatch.context() as patch:
        patch.setattr(LineStream.__init__, "__kwdefaults__", {"most_bytes": 60})
        full = await post(house)
    assert "60 bytes" in refusal(full, 503)
    assert full.headers["retry-after"] == "10"
    assert await waiting(redis) == []
    redis_server.kill()
    try:
        away = await post(house)
    finally:
        redis_server.start()
    assert "Redis" in refusal(away, 503)


async def test_lines_are_counted_by_what_became_of_them(house: House) -> None:
    await configure(house, shop=SOURCE)
    await post(house, BODY + b"\nno JSON")
    counted = house.context.replica.metrics.telemetry_posted_lines
    found = {
        each.labels["outcome"]: each.value
        for family in counted.collect()
        for each in family.samples
        if each.name.endswith("_total")
    }
    assert found == {"taken": 3.0, "refused": 1.0}
