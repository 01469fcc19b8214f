"""What `ballast up` sees of its processes reaches who asks the gateway."""

import time

from prometheus_client.core import GaugeMetricFamily
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import Role
from deployments.runtime.platform_health import (
    STALE_SECONDS,
    DeploymentHealth,
    PlatformHealth,
    health_name,
    read_health,
)
from observability.background import LOOP_AGES
from observability.exposition import Snapshot, encode
from observability.snapshots import key
from tests.deployments.house import House
from tests.waiting import until

PROBLEM = "raylet has not answered for 3 s"


def health(written: float, *problems: str) -> PlatformHealth:
    return PlatformHealth(
        written=written,
        state="impaired" if problems else "ready",
        problems=list(problems),
        deployments=[DeploymentHealth(name="tail", wanted=2, running=1, waits_for="a CPU")],
    )


async def write(redis: Redis, found: PlatformHealth) -> None:
    await redis.set(health_name(redis), found.model_dump_json())


async def test_the_status_says_how_long_ago_each_replicas_loops_did_their_work(
    house: House, redis: Redis
) -> None:
    ages = GaugeMetricFamily(LOOP_AGES, "Seconds.", labels=["loop"])
    ages.add_metric(["drain the ledger"], 4711.0)
    left = encode(Snapshot(time.time(), [ages]))
    await redis.hset(key(redis), "history-1", left)
    async with house.client(Role.VIEWER) as client:
        shown = (await client.get("/status")).json()["background_ages_s"]
    assert shown["drain the ledger"] == 4711
    assert 0 <= shown["publish metrics"] < 600  # the gateway's own


async def test_status_and_ready_say_what_the_supervisor_sees(house: House, redis: Redis) -> None:
    async with house.client(Role.VIEWER) as client:
        before = (await client.get("/status")).json()
        await write(redis, health(time.time(), PROBLEM))
        after = (await client.get("/status")).json()
        ready = await client.get("/ready")
        await write(redis, health(time.time()))
        well = (await client.get("/status")).json()
    assert (before["platform"], before["degraded"]) == (None, False)
    assert after["degraded"]
    assert after["degraded_reasons"] == [PROBLEM]
    assert after["platform"]["deployments"][0]["waits_for"] == "a CPU"
    assert ready.status_code == 200  # it answers, and a balancer must keep sending
    assert ready.json()["parts"]["cluster"] is False
    assert not well["degraded"]


async def test_the_status_names_keys_whose_records_cannot_be_read(
    house: House, redis: Redis
) -> None:
    store, reasons = KeyStore(redis), house.context.degraded_reasons
    await redis.hset(store.records_key, "f00d", '{"role": "auditor"}')
    await redis.publish(store.channel, "f00d")
    await until(lambda: reasons() != [])
    async with house.client(Role.VIEWER) as client:
        (reason,) = (await client.get("/status")).json()["degraded_reasons"]
    assert "f00d" in reason
    await store.revoke("f00d")
    await until(lambda: reasons() == [])


async def test_a_supervisor_that_is_gone_shows_by_the_age_of_its_word(redis: Redis) -> None:
    now = time.time()
    await write(redis, health(now))
    fresh, old = await read_health(redis, now), await read_health(redis, now + STALE_SECONDS + 4)
    assert fresh is not None
    assert old is not None
    assert (fresh.state, fresh.problems) == ("ready", [])
    assert old.state == "impaired"
    assert "`ballast up` has not reported for 9 s" in old.problems[0]


async def test_the_word_of_another_release_is_no_word(redis: Redis) -> None:
    await redis.set(health_name(redis), b'{"colour": "red"}')
    assert await read_health(redis, time.time()) is None
