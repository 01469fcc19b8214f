from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from access.errors import DuplicateKeyError, UnknownKeyError
from access.key_store import KeyStore
from access.keys import KeyRing, Role
from tests.waiting import PATIENCE_SECONDS

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


async def test_a_created_key_opens_the_ring(redis: Redis) -> None:
    store = KeyStore(redis)
    issued = await store.create(Role.OPERATOR, "night shift", NOW)
    principal = (await store.ring()).verify(issued.presented.encode())
    assert principal is not None
    assert (principal.key_id, principal.role) == (issued.record.key_id, Role.OPERATOR)


async def test_the_secret_is_nowhere_in_redis(redis: Redis) -> None:
    issued = await KeyStore(redis).create(Role.ADMIN, "first", NOW)
    secret = issued.presented.split("_", 2)[2].encode()
    stored = await redis.hgetall(KeyStore(redis).records_key)
    assert stored
    assert not any(secret in name or secret in value for name, value in stored.items())


async def test_keys_are_listed_oldest_first_with_those_revoked(redis: Redis) -> None:
    store = KeyStore(redis)
    later = await store.create(Role.CLIENT, "later", NOW + timedelta(days=1))
    first = await store.create(Role.VIEWER, "first", NOW)
    await store.revoke(first.record.key_id)
    assert [(key.note, key.revoked) for key in await store.list()] == [
        ("first", True),
        ("later", False),
    ]
    assert (await store.list())[1] == later.record


async def test_a_revoked_key_no_longer_opens_the_ring(redis: Redis) -> None:
    store = KeyStore(redis)
    gone = await store.create(Role.CLIENT, "gone", NOW)
    kept = await store.create(Role.CLIENT, "kept", NOW)
    await store.revoke(gone.record.key_id)
    await store.revoke(gone.record.key_id)  # twice is no harm
    ring = await store.ring()
    assert ring.verify(gone.presented.encode()) is None
    assert ring.verify(kept.presented.encode()) is not None
    assert len(ring) == 1


async def test_a_key_that_does_not_exist_cannot_be_revoked(redis: Redis) -> None:
    with pytest.raises(UnknownKeyError, match="'0123'"):
        await KeyStore(redis).revoke("0123")


async def test_a_taken_id_is_refused_and_its_key_stays(redis: Redis) -> None:
    store = KeyStore(redis, random_bytes=bytes)
    first = await store.create(Role.CLIENT, "first", NOW)
    with pytest.raises(DuplicateKeyError):
        await store.create(Role.ADMIN, "second", NOW)
    assert await store.list() == (first.record,)


async def test_each_change_is_announced(redis: Redis) -> None:
    store = KeyStore(redis)
    async with redis.pubsub(ignore_subscribe_messages=True) as notices:
        await notices.subscribe(store.channel)
        await notices.get_message(timeout=PATIENCE_SECONDS)
        key_id = (await store.create(Role.CLIENT, "desk", NOW)).record.key_id
        await store.revoke(key_id)
        heard = [await notices.get_message(timeout=PATIENCE_SECONDS) for _ in range(2)]
    assert [message["data"] for message in heard] == [key_id.encode()] * 2


@pytest.mark.parametrize("record", [b"{}", b"no JSON", b"\xff", None])
async def test_a_record_that_cannot_be_read_costs_no_other(
    redis: Redis, record: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    store = KeyStore(redis)
    gone = await store.create(Role.CLIENT, "gone", NOW)
    kept = await store.create(Role.CLIENT, "kept", NOW)
    later = await store.create(Role.ADMIN, "of a later release", NOW)
    text = later.record.model_dump_json().replace('"admin"', '"auditor"').encode()
    await redis.hset(store.records_key, "f00d", text if record is None else record)
    await store.revoke(gone.record.key_id)
    for _ in range(2):
        ring = await store.ring()
    assert ring.verify(gone.presented.encode()) is None
    assert ring.verify(kept.presented.encode()) is not None
    assert ring.unread == ("f00d",)
    assert [each for each in caplog.messages if "f00d" in each] == [caplog.messages[0]]
    assert {each.note for each in await store.list()} == {"gone", "kept", "of a later release"}
    # It can be ended by its id, and then nobody speaks of it.
    await store.revoke("f00d")
    assert await store.ring() == KeyRing(await store.list())
