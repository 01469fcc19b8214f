"""What dead replicas counted stays in the totals, and nothing else of them."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from observability.exposition import document, merge, snapshot
from observability.metrics import GAUGE_RULES, Metrics
from observability.snapshots import RETIRED, Publisher, Retirement, gather, key, mark_of, readable
from tests.waiting import PATIENCE_SECONDS

SILENT_S = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """A replica that counts requests and their time."""

    def __init__(self, client: Redis, role: str = "gateway") -> None:
        self.publisher = Publisher(client, role)
        self.metrics = Metrics(CollectorRegistry())

    def count(self, requests: int, seconds: float = 0.001) -> None:
        self.metrics.answered("/x", 200, [seconds] * requests)

    async def publish(self, at: float) -> None:
        self.metrics.config_version.set(7)
        await self.publisher.publish(snapshot(self.metrics.registry, at))


async def merged(client: Redis, now: float) -> dict[str, Any]:
    return document(merge(readable(await gather(client)), now=now, rules=GAUGE_RULES))


def totals(form: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Every sample of what is summed."""
    return {
        (sample["name"], str(sample["labels"])): sample["value"]
        for family in form.values()
        if family["type"] in {"counter", "histogram"}
        for sample in family["samples"]
    }


def requests(form: dict[str, Any]) -> float:
    (sample,) = form["http_requests"]["samples"]
    value: float = sample["value"]
    return value


async def test_a_replicas_last_snapshot_counts(client: Redis) -> None:
    one, other = Counting(client), Counting(client)
    one.count(1)
    await one.publish(0)
    one.count(4)
    await one.publish(1)
    other.count(3)
    await other.publish(1)
    form = await merged(client, now=2)
    assert requests(form) == 8
    assert form["config_version"]["samples"][0]["value"] == 7


async def test_the_dead_are_folded_and_no_counter_changes(client: Redis) -> None:
    clock = Clock()
    retirement = Retirement(client, clock)
    for day in range(1, 5):
        replica = Counting(client)
        replica.count(day)
        await replica.publish(clock.now)
        before = totals(await merged(client, clock.now))
        await retirement.step()
        clock.now += SILENT_S + 1
        await retirement.step()
        assert totals(await merged(client, clock.now)) == before
        assert set(await gather(client)) == {RETIRED}
    form = await merged(client, clock.now)
    assert requests(form) == 1 + 2 + 3 + 4
    assert "config_version" not in form  # a dead replica's gauges say nothing


async def test_a_machine_that_was_asleep_finds_nobody_dead(client: Redis) -> None:
    """The wall clock has gone on by days; nobody has looked in the meantime."""
    replica = Counting(client)
    await replica.publish(at=0)
    clock = Clock()
    retirement = Retirement(client, clock)
    await retirement.step()
    clock.now += SILENT_S / 2
    await replica.publish(at=3 * 86_400.0)
    await retirement.step()
    clock.now += SILENT_S / 2 + 1
    await retirement.step()
    assert set(await gather(client)) == {replica.publisher.name}


async def test_one_that_was_only_stopped_counts_nothing_twice(client: Redis) -> None:
    clock = Clock()
    retirement = Retirement(client, clock)
    replica = Counting(client)
    for _ in range(3):
        replica.count(5)
        await replica.publish(clock.now)
        before = replica.publisher.name
        await retirement.step()
        clock.now += SILENT_S + 1
        await retirement.step()  # stopped for so long
        replica.count(2)
        await replica.publish(clock.now)
        assert replica.publisher.name != before
    assert requests(await merged(client, clock.now)) == 3 * 7
    assert set(await gather(client)) == {RETIRED, replica.publisher.name}


@pytest.mark.parametrize("mark", ['{"v": 2}', "no snapshot"])
async def test_a_mark_that_cannot_be_read_stops_nobody_and_nothing_counts_twice(
    client: Redis, mark: str
) -> None:
    """Another release may have left it."""
    clock, replica = Clock(), Counting(client)
    retirement = Retirement(client, clock)
    for _ in range(2):
        replica.count(5)
        await replica.publish(clock.now)
        before = replica.publisher.name
        await retirement.step()
        clock.now += SILENT_S + 1
        await retirement.step()
        await client.set(mark_of(client, before), mark)
        replica.count(2)
        await replica.publish(clock.now)
        assert replica.publisher.name != before
    assert requests(await merged(client, clock.now)) == 2 * 7


@pytest.mark.parametrize("which", ["another", RETIRED])
async def test_one_that_cannot_be_read_hides_no_other_and_keeps_none_from_being_retired(
    client: Redis, which: str
) -> None:
    clock, dead = Clock(), Counting(client)
    await client.hset(key(client), which, '{"v": 2}')
    dead.count(3)
    await dead.publish(0)
    assert requests(await merged(client, 0)) == 3
    retirement = Retirement(client, clock)
    await retirement.step()
    clock.now += SILENT_S + 1
    await retirement.step()
    assert set(await gather(client)) == {RETIRED}
    assert requests(await merged(client, clock.now)) == 3


async def test_a_redis_that_lost_all_is_told_all_again(client: Redis) -> None:
    replica = Counting(client)
    replica.count(5)
    await replica.publish(0)
    await client.flushall()
    await replica.publish(1)
    assert requests(await merged(client, 1)) == 5


async def test_several_gateways_may_retire_at_once_while_others_publish(
    redis_server: Any, client: Redis
) -> None:
    """Whoever comes second finds it done, and leaves it alone."""
    clock, alive = Clock(), Counting(client)
    for _ in range(20):
        dead = Counting(client)
        dead.count(1)
        await dead.publish(0)

    async def publish() -> None:
        for _ in range(50):
            alive.count(1)
            await alive.publish(0)

    async with redis_server.client() as other:
        both = [Retirement(each, clock) for each in (client, other)]
        await asyncio.gather(*(each.step() for each in both))
        clock.now += SILENT_S + 1
        await asyncio.gather(publish(), *(each.step() for each in both for _ in range(5)))
        await both[0].step()
    assert set(await gather(client)) == {RETIRED, alive.publisher.name}
    assert requests(await merged(client, 0)) == 20 + 50


async def test_one_that_died_is_retired_in_one_look_though_others_never_rest(
    redis_server: Any, client: Redis
) -> None:
    clock, dead, alive = Clock(), Counting(client), Counting(client)
    dead.count(7)
    await dead.publish(0)
    retirement = Retirement(client, clock)
    await retirement.step()
    clock.now += SILENT_S + 1

    async def publish_on_and_on() -> None:
        async with redis_server.client() as other:
            publisher = Publisher(other, "tail")
            while not looked.is_set():
                await publisher.publish(snapshot(alive.metrics.registry, 0))

    async def look() -> None:
        await asyncio.sleep(0.1)
        await retirement.step()
        looked.set()

    looked = asyncio.Event()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(look(), *(publish_on_and_on() for _ in range(8)))
    assert dead.publisher.name not in await gather(client)
    assert requests(await merged(client, 0)) == 7


@pytest.mark.parametrize("seed", range(6))
async def test_totals_never_go_back_through_any_sequence_of_deaths(
    client: Redis, seed: int
) -> None:
    """Not even by a last digit: Prometheus would take that for a restart."""
    rng, clock = random.Random(seed), Clock()  # noqa: S311 - a test's dice
    gateways = [Retirement(client, clock) for _ in range(2)]
    alive = [Counting(client, rng.choice(("gateway", "tail"))) for _ in range(3)]
    published: Counter[Counting] = Counter()
    last: dict[tuple[str, str], float] = {}
    for _ in range(150):
        action = rng.choice(("count", "count", "publish", "publish", "pass", "die", "wait"))
        replica = rng.choice(alive)
        if action == "count":
            replica.count(rng.randint(1, 9), rng.random())
        elif action == "publish":
            await replica.publish(clock.now)
            found = replica.metrics.registry.get_sample_value(
                "http_requests_total", {"endpoint": "/x", "status": "200"}
            )
            published[replica] = int(found or 0)
        elif action == "die":
            alive[alive.index(replica)] = Counting(client, "gateway")
        elif action == "wait":
            clock.now += SILENT_S / 2  # two in a row are the death of those who said nothing
        await rng.choice(gateways).step()
        now = totals(await merged(client, clock.now))
        assert last.keys() <= now.keys()
        assert {key: value for key, value in last.items() if now[key] < value} == {}
        last = now
    assert sum(published.values()) == requests(await merged(client, clock.now))
