import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from features import store as store_module
from features.errors import SourceAwayError
from features.rows import FeatureRow
from features.store import FORGET_AFTER_SECONDS, MOST_FETCHES, FeatureStore, key
from settings.redis_connection import COMMAND_SECONDS, REDIS_AWAY
from tests.redis_server import RedisServer
from tests.waiting import until

FIRST, SECOND = FeatureRow({"load": 0.5}, 60.0), FeatureRow({"load": 0.6}, 120.0)


class Platform:
    """The measured services, as a source that can be slow or away."""

    def __init__(self) -> None:
        self.known: dict[str, FeatureRow] = {}
        self.asked: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.away = False

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        self.asked.append(list(entities))
        await self.open.wait()
        if self.away:
            raise SourceAwayError("platform", "it is away")
        return {entity: self.known[entity] for entity in entities if entity in self.known}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _a_redis_that_shares_two_busy_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "FIRST_READ_SECONDS", 5.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def platform() -> Platform:
    return Platform()


@pytest.fixture
async def store(redis: Redis, platform: Platform, clock: Clock) -> AsyncIterator[FeatureStore]:
    store = FeatureStore(redis, platform, clock)
    yield store
    await store.close()


async def publish(redis: Redis, **rows: FeatureRow) -> None:
    await store_module.publish(redis, rows.items())


async def settled(store: FeatureStore) -> None:
    await until(lambda: not store._from_source)


async def test_rows_come_from_redis_and_then_from_memory(
    store: FeatureStore, redis: Redis, redis_server: RedisServer
) -> None:
    await publish(redis, auth=FIRST, pricing=SECOND)
    assert await store.rows(["auth", "pricing", "auth"]) == {"auth": FIRST, "pricing": SECOND}
    assert (store.hits, store.misses) == (0, 2)
    redis_server.kill()
    assert await store.rows(["auth", "pricing"]) == {"auth": FIRST, "pricing": SECOND}
    assert (store.hits, store.misses) == (2, 2)


async def test_an_entity_that_redis_lacks_is_fetched_while_its_request_goes_on(
    store: FeatureStore, platform: Platform
) -> None:
    platform.known["auth"] = FIRST
    platform.open.clear()
    assert await store.rows(["auth", "nobody"]) == {"auth": None, "nobody": None}
    platform.open.set()
    await settled(store)
    assert await store.rows(["auth", "nobody"]) == {"auth": FIRST, "nobody": None}
    assert platform.asked == [["auth", "nobody"]]


async def test_requests_that_wait_for_the_same_entities_share_one_fetch(
    redis: Redis, platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(redis, auth=FIRST)
    asked: list[Any] = []
    mget = redis.mget

    async def counted(keys: Any) -> Any:
        asked.append(keys)
        return await mget(keys)

    monkeypatch.setattr(redis, "mget", counted)
    platform.known["new"] = SECOND
    platform.open.clear()
    store = FeatureStore(redis, platform, clock)
    found = await asyncio.gather(*(store.rows(["auth", "new"]) for _ in range(100)))
    assert found == [{"auth": FIRST, "new": None}] * 100
    assert len(asked) == 1
    clock.now += 10
    await store.refresh(5.0)  # the source has not answered yet, and is not asked again
    platform.open.set()
    await settled(store)
    assert platform.asked == [["new"]]
    assert await store.rows(["new"]) == {"new": SECOND}
    await store.close()


async def test_a_refresh_reads_anew_what_is_old_enough(
    store: FeatureStore, redis: Redis, clock: Clock
) -> None:
    await publish(redis, auth=FIRST)
    await store.rows(["auth"])
    await publish(redis, auth=SECOND)
    clock.now += 5
    await store.refresh(5.0)
    assert await store.rows(["auth"]) == {"auth": FIRST}
    clock.now += 1
    await store.refresh(5.0)
    assert await store.rows(["auth"]) == {"auth": SECOND}


@pytest.mark.parametrize("damage", [None, b"", b'{"values"'])
async def test_a_row_that_cannot_be_read_anew_is_kept(
    store: FeatureStore, redis: Redis, clock: Clock, damage: bytes | None
) -> None:
    await publish(redis, auth=FIRST)
    await store.rows(["auth"])
    if damage is None:
        await redis.delete(key(redis, "auth"))
    else:
        await redis.set(key(redis, "auth"), damage)
    clock.now += 10
    await store.refresh(5.0)
    await settled(store)
    assert await store.rows(["auth"]) == {"auth": FIRST}


async def test_what_only_the_source_knows_is_kept_and_renewed_from_there(
    store: FeatureStore, platform: Platform, clock: Clock
) -> None:
    platform.known["auth"] = FIRST
    await store.rows(["auth"])
    await settled(store)
    platform.open.clear()
    for _ in range(3):
        clock.now += 10
        await store.refresh(5.0)
        assert await store.rows(["auth"]) == {"auth": FIRST}
    platform.known["auth"] = SECOND
    platform.open.set()
    await settled(store)
    assert await store.rows(["auth"]) == {"auth": SECOND}


async def test_an_entity_that_appears_later_is_found_by_a_refresh(
    store: FeatureStore, platform: Platform, clock: Clock
) -> None:
    assert await store.rows(["new"]) == {"new": None}
    await settled(store)
    platform.known["new"] = FIRST
    clock.now += 10
    await store.refresh(5.0)
    await settled(store)
    assert await store.rows(["new"]) == {"new": FIRST}


async def test_with_redis_away_cached_rows_stay_and_the_source_answers(
    store: FeatureStore,
    redis: Redis,
    redis_server: RedisServer,
    platform: Platform,
    clock: Clock,
) -> None:
    await publish(redis, auth=FIRST)
    await store.rows(["auth"])
    redis_server.kill()
    platform.known["pricing"] = SECOND
    assert await store.rows(["auth", "pricing"]) == {"auth": FIRST, "pricing": None}
    await settled(store)
    clock.now += 10
    platform.known["auth"] = SECOND
    with pytest.raises(REDIS_AWAY):  # whose loop counts it, and says so
        await store.refresh(5.0)
    await settled(store)
    assert await store.rows(["auth", "pricing"]) == {"auth": SECOND, "pricing": SECOND}
    redis_server.start()
    clock.now += 10
    await store.refresh(5.0)


async def test_a_redis_that_hangs_holds_a_first_request_up_for_a_moment_only(
    store: FeatureStore, redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(redis, auth=FIRST)
    await store.rows(["auth"])
    monkeypatch.setattr(store_module, "FIRST_READ_SECONDS", 0.05)
    redis_server.freeze()
    # It is answered while Redis hangs on: nobody waits for as long as a command may take.
    began = time.monotonic()
    assert await store.rows(["auth", "pricing"]) == {"auth": FIRST, "pricing": None}
    assert time.monotonic() - began < COMMAND_SECONDS
    redis_server.thaw()


async def test_a_source_that_is_away_costs_nothing_but_its_rows(
    store: FeatureStore, platform: Platform
) -> None:
    platform.away = True
    assert await store.rows(["auth"]) == {"auth": None}
    await settled(store)
    assert await store.rows(["auth"]) == {"auth": None}


async def test_a_slow_source_is_not_buried_under_questions(
    store: FeatureStore, platform: Platform
) -> None:
    platform.open.clear()
    for number in range(4 * MOST_FETCHES):
        await store.rows([f"invented-{number}"])
    await until(lambda: len(platform.asked) == MOST_FETCHES)
    assert len(store._from_source) == MOST_FETCHES


async def test_closing_ends_what_is_still_being_fetched(
    store: FeatureStore, platform: Platform
) -> None:
    platform.open.clear()
    await store.rows(["auth"])
    fetching = tuple(store._from_source)
    await store.close()
    assert [task.cancelled() for task in fetching] == [True]


async def test_what_nobody_asks_for_leaves_the_round(
    store: FeatureStore, redis: Redis, clock: Clock
) -> None:
    await publish(redis, idle=FIRST, busy=FIRST)
    await store.rows(["idle", "busy"])
    clock.now += FORGET_AFTER_SECONDS
    await store.rows(["busy"])
    clock.now += 1
    await store.refresh(5.0)
    misses = store.misses
    await store.rows(["busy"])
    assert store.misses == misses
    await store.rows(["idle"])
    assert store.misses == misses + 1
