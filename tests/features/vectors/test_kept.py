import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from redis.asyncio import Redis

from features.definitions.catalogue import STORED
from features.vectors import kept as kept_module
from features.vectors.kept import IDLE_SECONDS, KeptVectors
from features.vectors.published import PublishedVectors, as_stored, forget
from features.vectors.reading import Stored
from features.vectors.vector import GROUPS, Vector
from settings.redis_connection import REDIS_AWAY
from tests.redis_server import RedisServer

REFRESH_SECONDS = 4.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counted(PublishedVectors):
    """Redis, with a note of what it was asked for."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.asked: list[list[str]] = []

    async def read(self, entities: list[str]) -> list[Stored | None]:  # type: ignore[override] # lists alone
        self.asked.append(entities)
        return await super().read(entities)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def published(redis: Redis) -> Counted:
    return Counted(redis)


@pytest.fixture
async def kept(published: Counted, clock: Clock) -> AsyncIterator[KeptVectors]:
    kept = KeptVectors(published, clock, lambda: REFRESH_SECONDS)
    yield kept
    await kept.close()


async def put(redis: Redis, **loads: float) -> None:
    times = [1.0] * len(GROUPS)
    vectors = {
        name: Vector({each.name: load for each in STORED}, times, times, 60.0)
        for name, load in loads.items()
    }
    await redis.mset(as_stored(redis, vectors))


async def loads(kept: KeptVectors, *entities: str) -> list[float | None]:
    found = await kept.read(entities)
    return [float(np.frombuffer(each[1][-8:])[0]) if each else None for each in found]


async def test_what_is_asked_for_again_waits_on_nobody(
    kept: KeptVectors, published: Counted, redis: Redis, redis_server: RedisServer
) -> None:
    await put(redis, a=1.0, b=2.0)
    assert await loads(kept, "b", "nobody", "a", "b") == [2.0, None, 1.0, 2.0]
    assert published.asked == [["b", "nobody", "a"]]
    redis_server.kill()
    assert await loads(kept, "a", "b") == [1.0, 2.0]
    assert kept.take_counts() == (2, 3)
    assert kept.take_counts() == (0, 0)


async def test_readers_who_wait_share_one_fetch(
    kept: KeptVectors, published: Counted, redis: Redis
) -> None:
    await put(redis, a=1.0, b=2.0)
    found = await asyncio.gather(*(loads(kept, "a", "b") for _ in range(100)))
    assert found == [[1.0, 2.0]] * 100
    assert published.asked == [["a", "b"]]


async def test_it_is_renewed_ahead_of_its_expiry(
    kept: KeptVectors, published: Counted, redis: Redis, clock: Clock
) -> None:
    """For a minute somebody asks each second: only the first reader ever waits."""
    await put(redis, a=0.0)
    for second in range(60):
        await put(redis, a=float(second))
        (found,) = await loads(kept, "a")
        assert found is not None
        assert second - found <= 1.5 * REFRESH_SECONDS
        if second % (REFRESH_SECONDS / 2) == 0:
            await kept.refresh()
        clock.now += 1
    assert kept.take_counts() == (59, 1)
    assert 60 / REFRESH_SECONDS - 2 <= len(published.asked) <= 60 / REFRESH_SECONDS + 2


async def test_without_a_refresh_it_expires(kept: KeptVectors, redis: Redis, clock: Clock) -> None:
    await put(redis, a=1.0)
    await loads(kept, "a")
    await put(redis, a=2.0)
    clock.now += 2.5 * REFRESH_SECONDS
    assert await loads(kept, "a") == [1.0]
    clock.now += 0.1
    assert await loads(kept, "a") == [2.0]


async def test_what_nobody_asks_for_is_let_go(
    kept: KeptVectors, published: Counted, redis: Redis, clock: Clock
) -> None:
    await put(redis, idle=1.0, busy=2.0)
    await loads(kept, "idle", "busy")
    clock.now += IDLE_SECONDS
    await loads(kept, "busy")
    clock.now += 1
    published.asked.clear()
    await kept.refresh()
    assert published.asked in ([], [["busy"]])
    await loads(kept, "idle")
    assert published.asked[-1] == ["idle"]


async def test_an_entity_that_appears_or_is_withdrawn_is_so_at_once_or_after_a_refresh(
    kept: KeptVectors, redis: Redis, clock: Clock
) -> None:
    assert await loads(kept, "a") == [None]
    await put(redis, a=1.0)
    assert await loads(kept, "a") == [1.0]
    await forget(redis, ["a"])
    clock.now += REFRESH_SECONDS
    await kept.refresh()
    assert await loads(kept, "a") == [None]


async def test_while_redis_is_away_what_was_read_last_is_given(
    kept: KeptVectors, redis: Redis, redis_server: RedisServer, clock: Clock
) -> None:
    await put(redis, a=1.0, b=1.0)
    await loads(kept, "a")
    redis_server.kill()
    for _ in range(40):
        clock.now += REFRESH_SECONDS
        with pytest.raises(REDIS_AWAY):
            await kept.refresh()
        assert await loads(kept, "a") == [1.0]
    with pytest.raises(REDIS_AWAY):
        await loads(kept, "a", "b")
    redis_server.start()
    await put(redis, a=3.0)
    assert await loads(kept, "a") == [3.0]


async def test_it_keeps_no_more_than_it_may(
    kept: KeptVectors, published: Counted, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_module, "MOST_KEPT", 2)
    await put(redis, a=1.0, b=2.0, c=3.0)
    assert await loads(kept, "a", "b", "c") == [1.0, 2.0, 3.0]
    published.asked.clear()
    assert await loads(kept, "b", "c") == [2.0, 3.0]
    assert await loads(kept, "a") == [1.0]
    assert published.asked == [["a"]]
