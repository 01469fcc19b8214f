"""Names in Redis: one prefix, so that two platforms on one Redis do not see each other."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import Role
from access.wire_secret import wire_secret
from config_store.errors import NoActiveVersionError
from config_store.shipped import default_document
from config_store.store import ConfigStore
from features.rows import FeatureRow
from features.store import key, publish
from observability.ledger.stream import LedgerStream
from observability.snapshots import Publisher, gather
from settings.redis_connection import open_redis
from settings.redis_names import PrefixedRedis, redis_name
from tests.redis_server import RedisServer

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
async def other(redis_server: RedisServer) -> AsyncIterator[PrefixedRedis]:
    client = open_redis(redis_server.url, "other:")
    yield client
    await client.aclose()


async def fill(redis: Redis) -> None:
    """Let every store that writes names of its own write one."""
    await ConfigStore(redis).bootstrap(default_document(), "ada", "a start", NOW)
    await KeyStore(redis).create(Role.CLIENT, "a client", NOW)
    await wire_secret(redis)
    await publish(redis, [("auth", FeatureRow({"load": 1.0}, 0.0))])
    await Publisher(redis, "gateway").publish(b"a snapshot")
    await LedgerStream(redis).send([b"an entry"])


async def test_two_platforms_on_one_redis_do_not_see_each_other(
    redis: Redis, other: PrefixedRedis
) -> None:
    await fill(redis)
    with pytest.raises(NoActiveVersionError):
        await ConfigStore(other).active()
    assert await KeyStore(other).list() == ()
    assert await gather(other) == {}
    assert await LedgerStream(other).read(None, 10) == []
    assert await other.get(key(other, "auth")) is None
    assert await wire_secret(other) != await wire_secret(redis)
    await fill(other)
    assert len(await LedgerStream(redis).read(None, 10)) == 1


async def test_every_name_begins_with_the_clients_prefix(other: PrefixedRedis) -> None:
    await fill(other)
    names = [name async for name in other.scan_iter()]
    assert len(names) >= 6
    assert [name for name in names if not name.startswith(b"other:")] == []


async def test_a_notice_of_one_platform_does_not_reach_the_other(
    redis: Redis, other: PrefixedRedis
) -> None:
    assert ConfigStore(redis).channel != ConfigStore(other).channel
    assert KeyStore(redis).channel != KeyStore(other).channel


def test_a_client_without_a_prefix_has_the_default_one() -> None:
    assert redis_name(Redis(), "features", "auth") == "ballast:features:auth"
    assert redis_name(open_redis("unix:///nowhere", "b:"), "ledger") == "b:ledger"
