import asyncio
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from observability.exposition import document, merge, snapshot
from observability.metrics import GAUGE_RULES, Metrics
from observability.snapshots import RETIRED, gather, key, publish, retire

DAY = 86_400.0


def counted(requests: int, at: float) -> bytes:
    metrics = Metrics(CollectorRegistry())
    metrics.answered("/x", 200, [0.001] * requests)
    metrics.config_version.set(requests)
    return snapshot(metrics.registry, at)


async def merged(client: Redis, now: float) -> dict[str, Any]:
    return document(merge((await gather(client)).values(), now=now, rules=GAUGE_RULES))


def requests(form: dict[str, Any]) -> float:
    (sample,) = form["http_requests"]["samples"]
    value: float = sample["value"]
    return value


async def test_a_replicas_last_snapshot_counts(client: Redis) -> None:
    await publish(client, "gateway-1", counted(1, 0))
    await publish(client, "gateway-1", counted(5, 1))
    await publish(client, "gateway-2", counted(3, 1))
    form = await merged(client, now=2)
    assert requests(form) == 8
    assert form["config_version"]["samples"][0]["value"] == 5


async def test_the_long_silent_are_folded_and_no_counter_changes(client: Redis) -> None:
    for day in range(1, 4):
        await publish(client, f"gateway-{day}", counted(day, at=day * DAY))
        before = requests(await merged(client, day * DAY))
        assert before == sum(range(day + 1))
        await retire(client, now=day * DAY, silent_s=DAY / 2)
        assert requests(await merged(client, day * DAY)) == before
        assert await client.hlen(key(client)) == (1 if day == 1 else 2)
    assert set(await gather(client)) == {RETIRED, "gateway-3"}
    form = await merged(client, 3 * DAY)
    assert form["config_version"]["samples"][0]["value"] == 3


async def test_nobody_is_retired_early(client: Redis) -> None:
    await publish(client, "gateway-1", counted(1, at=0))
    assert await retire(client, now=DAY - 1) == []
    assert await retire(client, now=DAY + 1) == ["gateway-1"]


async def test_retiring_and_publishing_at_once_changes_no_sum(
    redis_server: Any, client: Redis
) -> None:
    """Whoever comes second finds the hash changed, and leaves it to the next round."""
    for i in range(20):
        await publish(client, f"gateway-{i}", counted(1, at=0))

    async def alive() -> None:
        for count in range(50):
            await publish(client, "gateway-alive", counted(count, at=2 * DAY))

    async with redis_server.client() as other:
        rounds = [retire(each, now=2 * DAY) for each in (client, other) for _ in range(10)]
        await asyncio.gather(alive(), *rounds)
    await retire(client, now=2 * DAY)
    assert set(await gather(client)) == {RETIRED, "gateway-alive"}
    assert requests(await merged(client, 2 * DAY)) == 20 + 49
