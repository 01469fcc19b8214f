"""An upgrade keeps what the release before it left in Redis under names without a prefix."""

import pytest
from redis.asyncio import Redis

from config_store.store import ConfigStore
from launch import old_names
from launch.bootstrap import prepare_redis
from observability.ledger.stream import LedgerStream
from observability.snapshots import gather
from settings.environment import Settings


async def left_by_the_old_release(redis: Redis, settings: Settings, *entries: bytes) -> None:
    """Write what the release before left: its other names had the prefix already."""
    await prepare_redis(settings)
    await LedgerStream(redis, name="ledger").send(entries)
    await redis.set("ledger:drained", "1-0")
    await redis.hset("metrics:snapshots", "gateway-1", b"counted")


async def names(redis: Redis) -> set[bytes]:
    return {name async for name in redis.scan_iter()}


async def ledger(redis: Redis) -> list[bytes]:
    return [message.data for message in await LedgerStream(redis).read(None, 10_000)]


async def test_the_ledger_and_the_counters_are_found_under_the_new_names(
    redis: Redis, settings: Settings
) -> None:
    await left_by_the_old_release(redis, settings, b"one", b"two")
    old = [message.id for message in await LedgerStream(redis, name="ledger").read(None, 10)]
    await prepare_redis(settings)
    found = await LedgerStream(redis).read(None, 10)
    assert [(each.id, each.data) for each in found] == list(zip(old, [b"one", b"two"], strict=True))
    assert await gather(redis) == {"gateway-1": b"counted"}
    assert [name for name in await names(redis) if not name.startswith(b"ballast:")] == []


async def test_what_an_older_release_wrote_in_between_is_appended(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_names, "CHUNK", 3)
    await left_by_the_old_release(redis, settings, b"one")
    await prepare_redis(settings)
    await left_by_the_old_release(redis, settings, *(b"again %d" % at for at in range(10)))
    await prepare_redis(settings)
    await prepare_redis(settings)
    assert await ledger(redis) == [b"one", *(b"again %d" % at for at in range(10))]
    assert [name for name in await names(redis) if not name.startswith(b"ballast:")] == []


async def test_another_programs_keys_of_those_names_stay(redis: Redis, settings: Settings) -> None:
    await prepare_redis(settings)
    await redis.xadd("ledger", {"account": "7"})
    await prepare_redis(settings)
    assert await redis.xlen("ledger") == 1
    assert await ledger(redis) == []


async def test_a_platform_with_its_own_prefix_takes_nothing_over(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_by_the_old_release(redis, settings, b"one")
    monkeypatch.setenv("BALLAST_REDIS_PREFIX", "other:")
    await prepare_redis(Settings())
    assert await redis.xlen("ledger") == 1
    assert (await ConfigStore(redis).active()).number == 1
