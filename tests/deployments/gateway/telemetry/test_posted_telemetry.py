import asyncio
import json
import os
import re
import time
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import numpy as np
import pytest
from redis.asyncio import Redis

import deployments.history.client
from access.keys import Role
from config_store.sources import (
    EntityFacts,
    PrometheusSource,
    PushSource,
    SourceConfig,
    SourcesConfig,
)
from deployments.history.questions import Questions
from features.sources.rules import Gauge, Mapping, Selector
from features.telemetry.intake import Intake
from features.telemetry.source_states import SourceState, publish_states
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.surface.source import REPOSITORY

PUSH = PushSource()
PULL = PrometheusSource(
    url="http://prometheus:9090",
    mapping=Mapping(entity="job", metrics={"load": Gauge(of=Selector(name="load"))}),
)
Answer = dict[str, Any]


@pytest.fixture(autouse=True)
def _another_minute() -> None:
    """Let each test begin with a minute of its own."""
    now.cache_clear()


@cache
def now() -> int:
    return int(time.time()) // 60 * 60


def row(**more: Any) -> Answer:
    return {"entity": "checkout", "ts": now() - 60, "load": 0.5} | more


async def configure(house: House, *, entities: Any = None, **named: SourceConfig) -> None:
    sources = SourcesConfig(named=named, entities=entities or {})
    await house.deploy(house.document.model_copy(update={"sources": sources}))


async def post(
    house: House, body: Any, path: str = "/telemetry", role: Role = Role.CLIENT, kind: str = ""
) -> httpx.Response:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {"content-type": kind} if kind else {}
    async with house.client(role) as client:
        return await client.post(path, content=content, headers=headers)


def error(found: httpx.Response, status: int) -> Answer:
    assert found.status_code == status, found.text
    refusal: Answer = found.json()["error"]
    return refusal


async def queued(redis: Redis) -> list[tuple[str, str, int, float]]:
    """Give what waits to be stored: the source, entity, interval and load of each row."""
    return [
        (each.source, str(entity), int(ts), float(load))
        for each in await Intake(redis).read(1000)
        for rows in (each.gathered.telemetry,)
        for entity, ts, load in zip(rows.entity, rows.ts, rows.load, strict=True)
    ]


@pytest.mark.parametrize("path", ["/telemetry", "/api/v1/telemetry"])
async def test_rows_columns_and_csv_are_taken_under_the_only_push_source(
    house: House, redis: Redis, path: str
) -> None:
    await configure(house, agent=PUSH, prom=PULL)
    at = now() - 60
    columns = {"columns": {"entity": ["a"], "ts": [at * 1000], "load": [0.25]}}
    for body, kind in (
        ([row()], "application/json"),
        ({"rows": [row()]}, "application/x-www-form-urlencoded"),  # as curl -d says
        (row(), ""),
        (columns, "application/json"),
        (f"entity,ts,load\nb,{at},0.75\n", "text/csv; charset=utf-8"),
    ):
        found = await post(house, body, path, kind=kind)
        assert found.status_code == 202, found.text
        taken = {"source": "agent", "rows": 1, "accepted": 1, "older": 0, "note": ""}
        assert found.json() == {**taken, "complaints": []}
    assert await queued(redis) == [
        *[("agent", "checkout", at, 0.5)] * 3,
        ("agent", "a", at, 0.25),
        ("agent", "b", at, 0.75),
    ]


async def test_a_source_may_say_which_keys_write_to_it(house: House) -> None:
    client, operator = (house.keys[each].split("_")[1] for each in (Role.CLIENT, Role.OPERATOR))
    await configure(house, agent=PushSource(keys=(operator,)))
    refusal = error(await post(house, [row()]), 403)
    assert f"The key {client} may not write to the source 'agent'" in refusal["message"]
    assert (await post(house, [row()], role=Role.OPERATOR)).status_code == 202
    await configure(house, agent=PushSource(keys=(client, operator)))
    assert (await post(house, [row()])).status_code == 202


async def test_what_is_wrong_is_named_and_the_rest_is_taken(house: House, redis: Redis) -> None:
    await configure(house, agent=PUSH)
    body = [row(), row(ts="yesterday"), row(load=-1, cpu=0.5), row(load=None, cpu=0.25)]
    found = (await post(house, body)).json()
    assert (found["rows"], found["accepted"]) == (4, 1)
    by_fault = {each["fault"]: each for each in found["complaints"]}
    assert "row 2: ts 'yesterday' is no time" in by_fault["schema"]["example"]
    assert "load" in by_fault["out of bounds"]["example"]
    (waiting,) = await Intake(redis).read(10)
    assert {each.fault for each in waiting.gathered.complaints} == by_fault.keys()


async def test_rows_of_the_past_are_taken_and_the_answer_says_where_they_went(
    house: House, redis: Redis
) -> None:
    await configure(house, agent=PUSH)
    long_ago = now() - 30 * 86_400
    found = (await post(house, [row(ts=long_ago), row(ts=long_ago + 60)])).json()
    assert (found["accepted"], found["older"]) == (2, 2)
    assert found["note"].startswith("2 of 2 began over a day ago (the newest of all 30.0 days ago)")
    assert "they went to the history" in found["note"]
    assert [each[2] for each in await queued(redis)] == [long_ago, long_ago + 60]
    mixed = (await post(house, [row(ts=long_ago), row(), row(ts=now() - 86_000)])).json()
    assert (mixed["accepted"], mixed["older"]) == (3, 1)


async def test_a_body_without_a_right_row_is_refused_and_nothing_is_queued(
    house: House, redis: Redis
) -> None:
    await configure(house, agent=PUSH)
    refusal = error(await post(house, [row(entity="two words"), row(ts=now() + 9000)]), 422)
    assert "'two words'" in refusal["fields"]["schema"]
    assert "clock skew" in refusal["fields"]
    refusal = error(await post(house, [row(load=None)]), 422)
    assert "nothing was measured" in refusal["fields"]["rows"]
    refusal = error(await post(house, [row(latency=1)]), 422)
    assert "p99_ms" in refusal["fields"]["latency"]
    refusal = error(await post(house, "entity,ts\n", kind="text/csv"), 422)
    assert refusal["fields"] == {"rows": "the body has no rows"}
    assert await queued(redis) == []


async def test_rows_need_a_push_source_that_an_operator_connected(house: House) -> None:
    refusal = error(await post(house, [row()]), 409)
    assert "`ballast connect push NAME`" in refusal["message"]
    await configure(house, prom=PULL)
    refusal = error(await post(house, [row()]), 409)
    assert "No push source" in refusal["message"]
    refusal = error(await post(house, [row()], "/telemetry?source=prom"), 409)
    assert "of the kind prometheus" in refusal["message"]
    refusal = error(await post(house, [row()], "/telemetry?source=other"), 404)
    assert "`ballast connect push other`" in refusal["message"]
    error(await post(house, [row()], "/telemetry?source=NOT+A+NAME"), 422)


async def test_of_several_push_sources_one_must_be_named(house: House, redis: Redis) -> None:
    await configure(house, a=PUSH, b=PUSH, c=PushSource(paused=True))
    refusal = error(await post(house, [row()]), 409)
    assert "?source=a" in refusal["message"]
    assert (await post(house, [row()], "/telemetry?source=b")).json()["source"] == "b"
    assert [each[0] for each in await queued(redis)] == ["b"]
    refusal = error(await post(house, [row()], "/telemetry?source=c"), 409)
    assert "paused" in refusal["message"]


async def test_a_viewer_may_look_and_not_post(house: House) -> None:
    await configure(house, agent=PUSH)
    error(await post(house, [row()], role=Role.VIEWER), 403)
    async with house.stranger() as client:
        error(await client.post("/telemetry", json=[row()]), 401)
        error(await client.get("/sources"), 401)


async def test_the_cadence_of_the_source_decides_which_interval_a_row_is_of(
    house: House, redis: Redis
) -> None:
    await configure(house, agent=PushSource(cadence_seconds=15))
    at = now() - 60
    await post(house, [row(ts=at + 31)])
    assert [each[2] for each in await queued(redis)] == [at + 30]


async def test_a_large_body_is_taken_while_others_are_answered(house: House, redis: Redis) -> None:
    await configure(house, agent=PUSH)
    at, count = now() - 60 * 3000, 30_000
    rows = [row(entity=f"e{n % 10}", ts=at + n // 10 * 60, cpu=n / count) for n in range(count)]
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            stalls.append(time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    found = await post(house, rows)
    watching.cancel()
    assert found.json()["accepted"] == count
    assert len(await queued(redis)) == count
    assert len(stalls) > count / 256  # the loop was free between the slices


async def test_a_body_that_is_too_large_is_refused(house: House) -> None:
    await configure(house, agent=PUSH)
    body = b"[" + b" " * 8 * 1024 * 1024 + json.dumps(row()).encode() + b"]"
    refusal = error(await post(house, body), 413)
    assert "8388608 bytes" in refusal["message"]
    refusal = error(await post(house, b"[" + b",".join([b"{}"] * 50_001) + b"]"), 422)
    assert "50000" in refusal["fields"]["rows"]


async def test_large_bodies_of_one_key_are_bounded(house: House) -> None:
    await configure(house, agent=PUSH)
    rows = [row(entity=f"e{n}") for n in range(500)]
    pieces = json.dumps(rows).encode()
    going, free = 0, asyncio.Event()

    async def slow() -> Any:
        nonlocal going
        yield pieces[:20_000]
        yield pieces[20_000:20_001]
        going += 1
        await free.wait()
        yield pieces[20_001:]

    async with house.client() as client:
        held = [asyncio.create_task(client.post("/telemetry", content=slow())) for _ in range(4)]
        while going < 4:  # noqa: ASYNC110 - a transport tells nobody
            await asyncio.sleep(0.01)
        refusal = error(await client.post("/telemetry", content=slow()), 429)
        assert "large bodies" in refusal["message"]
        free.set()
        assert {found.status_code for found in await asyncio.gather(*held)} == {202}


async def test_a_full_queue_and_an_absent_redis_say_when_to_come_again(
    house: House, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await configure(house, agent=PUSH)
    full = Intake(house.context.replica.redis, most_entries=1)
    monkeypatch.setattr(house.context, "intake", full)
    assert (await post(house, [row()])).status_code == 202
    found = await post(house, [row()])
    assert "wait to be stored" in error(found, 503)["message"]
    assert int(found.headers["retry-after"]) > 0
    redis_server.kill()
    found = await post(house, [row()])
    assert "Redis" in error(found, 503)["message"]
    assert int(found.headers["retry-after"]) > 0
    redis_server.start()


async def get(house: House, path: str) -> Any:
    async with house.client(Role.VIEWER) as client:
        found = await client.get(path)
    assert found.status_code == 200, found.text
    return found.json()


async def test_sources_are_those_of_the_configuration_with_what_was_told(
    house: House, redis: Redis
) -> None:
    await configure(house, agent=PUSH, idle=PushSource(paused=True), prom=PULL)
    found = await get(house, "/sources")
    assert (found["told"], found["stale"]) == (None, True)
    assert {each["name"]: each["state"] for each in found["sources"]} == {
        "agent": "waiting",
        "idle": "paused",
        "prom": "waiting",
    }
    told = [
        SourceState(name="prom", kind="prometheus", state="away", breaker="open", rows=7),
        SourceState(name="gone", kind="push", state="live"),
        SourceState(name="demo", kind="demo", state="demo", newest=now()),
        SourceState(name="idle", kind="push", state="live", rows=3),
    ]
    at = time.time()
    await publish_states(redis, told, at)
    found = await get(house, "/sources")
    assert datetime.fromisoformat(found["told"]) == datetime.fromtimestamp(at, UTC)
    assert not found["stale"]
    assert [(each["name"], each["state"], each["rows"]) for each in found["sources"]] == [
        ("agent", "waiting", 0),
        ("idle", "paused", 3),
        ("prom", "away", 7),
        ("demo", "demo", 0),
    ]
    await publish_states(redis, told, at - 61)
    assert (await get(house, "/sources"))["stale"]


ENTITIES = [
    {
        "entity": name,
        "first": 60,
        "last": 120,
        "sources": ["prom"],
        "cadence_seconds": 60,
        "missing": {"load": 0.5},
    }
    for name in ("pay/eu", "auth", "gate way", "pay/us")
]


@pytest.fixture
def _entities(
    house: House,  # noqa: ARG001 - it puts another history in the place of this one
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(question: object) -> list[Answer]:
        assert question is Questions.entities
        return ENTITIES

    monkeypatch.setattr(deployments.history.client, "ask", ask)


@pytest.mark.usefixtures("_entities")
async def test_entities_are_listed_a_page_at_a_time_and_each_is_found(house: House) -> None:
    await configure(house, entities={"pay/eu": EntityFacts(exchange="XLON", target_ms=50.0)})
    found = await get(house, "/entities?limit=2")
    assert [each["entity"] for each in found["entities"]] == ["auth", "gate way"]
    found = await get(house, f"/entities?limit=2&after={found['next']}")
    assert [each["entity"] for each in found["entities"]] == ["pay/eu", "pay/us"]
    assert found["next"] is None
    found = await get(house, "/entities?prefix=pay/")
    assert len(found["entities"]) == 2
    found = await get(house, "/entities/pay/eu")
    assert found["stated"] == {"exchange": "XLON", "time_zone": None, "target_ms": 50.0}
    assert (await get(house, "/entities/gate%20way"))["stated"] is None
    async with house.client() as client:
        error(await client.get("/entities/other"), 404)


async def test_what_the_page_on_pushing_shows_is_taken(house: House, redis: Redis) -> None:
    """A shell runs its blocks, with a client that gives the body instead of sending it."""
    await configure(house, cron=PUSH)
    page = (REPOSITORY / "docs/sources/push.md").read_text()
    blocks = [each for each in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "ROWS" in each]
    script = "\n".join(["curl() { cat; printf '\\0'; }", *blocks])
    client = {"BALLAST_URL": "http://127.0.0.1:8000", "BALLAST_KEY": "a key"}
    shell = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-euc", script), env=os.environ | client, stdout=asyncio.subprocess.PIPE
    )
    bodies = (await shell.communicate())[0].decode().split("\0")[:-1]
    (shown,) = re.findall(r"```json\n(.*)\n```", page)
    telemetry = []
    for block, body in zip(blocks, bodies, strict=True):
        kind = "text/csv" if "text/csv" in block else "application/x-www-form-urlencoded"
        found = await post(house, body, kind=kind)
        assert found.json() == json.loads(shown)
        telemetry.append((await Intake(redis).read(10))[-1].gathered.telemetry)
    assert len(telemetry) == 3
    for each in telemetry[1:]:
        for name, values in each.columns().items():
            np.testing.assert_array_equal(values, telemetry[0].columns()[name])
