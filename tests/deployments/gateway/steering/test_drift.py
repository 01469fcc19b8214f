"""Drift is told on the timeline: when it begins and when it ends, once each, by any gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

import config_store.running
from config_store.drift_record import DriftRecord
from config_store.repair import Repair
from deployments.gateway.steering.drift import Drift
from observability.metrics import Metrics
from observability.timeline.event import Event, read_event
from observability.timeline.stream import TimelineStream
from tests.config_store.steering.people import CY
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.house import House
from tests.redis_server import RedisServer

BEGUN, ENDED = "config_drift_begun", "config_drift_ended"


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with redis_server.patient_client() as redis, config_api(redis, tmp_path) as api:
        await api.patched({"serving": {"tail": {"slo_ms": 90}}})
        yield api


class Gateways:
    """Two gateways that look at the same Redis, one after the other."""

    def __init__(self, api: ConfigApi) -> None:
        self.api = api
        self.repairs = [Repair(api.redis) for _ in range(2)]
        self.drifts = [
            Drift(
                repair,
                api.running,
                api.context.changes.steering,
                DriftRecord(api.redis),
                api.active,
                api.clock.wall,
                Metrics(CollectorRegistry()),
            )
            for repair in self.repairs
        ]

    async def look(self, times: int = 1) -> list[tuple[str, str, str]]:
        """Let each look so often; give what is told by then of drift, oldest first."""
        for _ in range(times):
            for each in self.drifts:
                await each.look()
        return await self.told()

    async def told(self) -> list[tuple[str, str, str]]:
        found = await drifts_told(self.api.redis)
        return [
            (each.kind, str(each.details["what"]), str(each.details["reason"])) for each in found
        ]


async def drifts_told(redis: Redis) -> list[Event]:
    events = [read_event(each.data) for each in await TimelineStream(redis).read(1000)]
    return [each for each in events if each.kind in {BEGUN, ENDED}]


async def kinds_told(redis: Redis) -> list[str]:
    return [read_event(each.data).kind for each in await TimelineStream(redis).read(1000)]


async def forge(api: ConfigApi, number: int) -> None:
    key = api.configs.versions_key
    record = await api.redis.hget(key, str(number))
    assert record is not None
    fields = orjson.loads(record)
    await api.redis.hset(key, str(number), orjson.dumps(fields | {"document": "{}"}))


async def test_a_replica_that_strays_is_told_once_it_lasts_and_once_it_follows(
    api: ConfigApi,
) -> None:
    gateways = Gateways(api)
    old, new = [await api.configs.get(number) for number in (1, 2)]
    await api.running.report("tail-a", "tail", 2, new.config_hash)
    assert await gateways.look(2) == []
    await api.running.report("tail-b", "tail", 1, old.config_hash)
    assert await gateways.look() == []  # it may be just about to follow
    ((kind, what, how),) = await gateways.look(3)
    assert (kind, what) == (BEGUN, "the replica tail-b")
    assert how.startswith("it goes by version 1, and looked ")
    await api.running.report("tail-b", "tail", 2, new.config_hash)
    told = await gateways.look(3)
    assert told[1:] == [(ENDED, "the replica tail-b", "it goes by version 2, which is active")]
    (begun, ended) = await drifts_told(api.redis)
    assert ended.details["begun"] == pytest.approx(begun.time, abs=0.001)


async def test_one_that_does_not_look_or_dies_is_told_too(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateways, active = Gateways(api), api.active().config_hash
    await api.running.report("tail-a", "tail", 2, active, 9.0)
    await api.running.report("tail-b", "tail", 2, active, 9.0)
    told = await gateways.look(2)
    assert [(kind, what) for kind, what, _ in told] == [
        (BEGUN, "the replica tail-a"),
        (BEGUN, "the replica tail-b"),
    ]
    await api.running.leave("tail-a")
    told = await gateways.look(2)
    assert told[2:] == [(ENDED, "the replica tail-a", "it reports no more")]
    monkeypatch.setattr(config_store.running, "SILENT_SECONDS", -1.0)
    told = await gateways.look(2)
    assert told[3:] == [(ENDED, "the replica tail-b", "it reports no more")]


async def test_a_changed_document_and_its_repair_are_told(api: ConfigApi) -> None:
    gateways = Gateways(api)
    assert await gateways.look() == []
    await forge(api, 2)
    ((kind, what, how),) = await gateways.look(2)
    assert (kind, what) == (BEGUN, "version 2")
    assert "published with hash" in how
    assert await gateways.repairs[1].put_back(CY, api.clock.now) == ["version 2"]
    assert (await kinds_told(api.redis)).count("config_repaired") == 1
    told = await gateways.look(2)
    assert [(kind, what) for kind, what, _ in told[1:]] == [(ENDED, "version 2")]
    assert await gateways.repairs[0].put_back(CY, api.clock.now) == []
    assert (await kinds_told(api.redis)).count("config_repaired") == 1


async def test_while_the_state_is_spoilt_nothing_is_said_of_documents(api: ConfigApi) -> None:
    gateways = Gateways(api)
    await gateways.look()
    await forge(api, 2)
    await gateways.look()
    await api.redis.hset(api.context.changes.steering.key, "state", b"{}")
    told = await gateways.look(2)
    assert [(kind, what) for kind, what, _ in told] == [
        (BEGUN, "version 2"),
        (BEGUN, "the steering state"),
    ]
    await gateways.repairs[0].put_back(CY, api.clock.now)
    told = await gateways.look(2)
    assert {(kind, what) for kind, what, _ in told[2:]} == {
        (ENDED, "version 2"),
        (ENDED, "the steering state"),
    }
    assert len(told) == 4
    assert {"steering_restored", "config_repaired"} <= set(await kinds_told(api.redis))


async def test_a_gateway_of_a_whole_platform_tells_it(house: House) -> None:
    await house.context._drift.look()
    steering = house.context.changes.steering
    await steering.found(CY, house.context.clocks.wall())
    await house.redis.hset(steering.key, "digest", "another")
    await house.context._drift.look()
    told = await drifts_told(house.redis)
    assert [(each.kind, each.details["what"]) for each in told] == [(BEGUN, "the steering state")]


async def test_a_gateway_that_never_knew_the_state_writes_its_copy_again(api: ConfigApi) -> None:
    gateways, steering = Gateways(api), api.context.changes.steering
    before = await steering.read()
    await api.redis.hset(steering.key, "state", b"{}")
    told = await gateways.look(2)
    assert [(kind, what) for kind, what, _ in told] == [
        (BEGUN, "the steering state"),
        (ENDED, "the steering state"),
    ]
    after = await steering.read()
    assert (after.active, after.versions) == (before.active, before.versions)
    assert (await kinds_told(api.redis)).count("steering_restored") == 1
    # Now that it is known here, the next time is for people.
    await api.redis.hset(steering.key, "state", b"{}")
    assert (await gateways.look(2))[-1][:2] == (BEGUN, "the steering state")
