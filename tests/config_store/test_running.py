"""What replicas report of themselves: what they go by, and whether they have a candidate loaded."""

import orjson
from redis.asyncio import Redis

from config_store.running import MOST_CHARACTERS, SILENT_SECONDS, CandidateReport, RunningVersions
from settings.redis_names import redis_name


async def said_of(running: RunningVersions, content_hash: str) -> dict[str, str | None]:
    return {each.replica: each.why_not_loaded(content_hash) for each in await running.all()}


async def test_who_has_another_document_or_fell_silent_has_not_said_so(redis: Redis) -> None:
    running = RunningVersions(redis)
    for replica, document in (("a", "h1"), ("b", "h1"), ("c", "h2"), ("d", "h1")):
        await running.report(replica, "tail", 1, "h0", loaded=CandidateReport(document))
    await running.report("b", "tail", 1, "h0", loaded=CandidateReport("h2"))
    await running.report("e", "tail", 1, "h0")
    seconds, _ = await redis.time()
    long_ago = {
        "role": "tail",
        "version": 1,
        "config_hash": "h0",
        "loaded": {"content_hash": "h1", "why_not": "", "age_s": 0.0},
    }
    word = b"%d %b" % (seconds - SILENT_SECONDS - 1, orjson.dumps(long_ago))
    await redis.hset(redis_name(redis, "config", "running"), "d", word)
    assert await said_of(running, "h1") == {"a": "", "b": None, "c": None, "d": None, "e": None}
    assert await said_of(running, "h2") == {"a": None, "b": "", "c": "", "d": None, "e": None}


async def test_a_word_that_was_not_said_again_for_long_counts_no_more(redis: Redis) -> None:
    running = RunningVersions(redis)
    for replica, age_s in (("fresh", SILENT_SECONDS / 2), ("stale", SILENT_SECONDS + 0.5)):
        await running.report(replica, "tail", 1, "h0", loaded=CandidateReport("h1", age_s=age_s))
    assert await said_of(running, "h1") == {"fresh": "", "stale": None}
    assert not any(each.silent for each in await running.all())


async def test_who_lacks_a_document_says_why_until_it_has_it(redis: Redis) -> None:
    running = RunningVersions(redis)
    gone = "the model 7 is gone\nfrom its folder"
    for replica, why_not in (("a", gone), ("b", "x" * 10_000)):
        await running.report(replica, "tail", 1, "h0", loaded=CandidateReport("h1", why_not))
    assert await said_of(running, "h1") == {"a": gone, "b": "x" * MOST_CHARACTERS}
    await running.report("a", "tail", 1, "h0", loaded=CandidateReport("h1"))
    assert (await said_of(running, "h1"))["a"] == ""
