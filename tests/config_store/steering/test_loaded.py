from redis.asyncio import Redis

from config_store.steering.loaded import SILENT_SECONDS, LoadedCandidates
from settings.redis_names import redis_name


async def test_who_has_another_document_or_fell_silent_is_not_named(redis: Redis) -> None:
    loaded = LoadedCandidates(redis)
    for replica, document in (("a", "h1"), ("b", "h1"), ("c", "h2"), ("d", "h1")):
        await loaded.say(replica, document)
    await loaded.say("b", "h2")
    key = redis_name(redis, "config", "loaded")
    seconds, _ = await redis.time()
    await redis.hset(key, "d", f"{seconds - SILENT_SECONDS - 1} h1")
    assert await loaded.replicas("h1") == {"a"}
    assert await loaded.replicas("h2") == {"b", "c"}
    assert await redis.ttl(key) > 0
