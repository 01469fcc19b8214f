import pytest
from redis.asyncio import Redis

from features.errors import SourceAwayError
from features.sources.logs.follow import Positions
from features.sources.logs.positions import RedisPositions
from settings.redis_names import redis_name
from tests.redis_server import RedisServer

SOME = Positions(("/var/log/app.log",))


async def test_what_was_saved_last_is_loaded(redis: Redis) -> None:
    kept = RedisPositions(redis, "app")
    assert await kept.load() is None
    await kept.save(SOME)
    assert await RedisPositions(redis, "app").load() == SOME
    assert await RedisPositions(redis, "other").load() is None


async def test_what_cannot_be_read_counts_as_nothing(redis: Redis) -> None:
    await redis.set(redis_name(redis, "sources", "app", "positions"), b"[]")
    assert await RedisPositions(redis, "app").load() is None


async def test_without_redis_nothing_is_begun_and_what_runs_goes_on(
    redis: Redis, redis_server: RedisServer
) -> None:
    kept = RedisPositions(redis, "app")
    redis_server.kill()
    with pytest.raises(SourceAwayError, match="how far its files were read"):
        await kept.load()
    await kept.save(SOME)
