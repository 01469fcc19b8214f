import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deployments.runtime.state.entries import KEPT_IDS, Append, Entry, QuotaPlace
from deployments.runtime.state.log import KeyLog
from tests.redis_server import RedisServer


def entry(number: int, key: str = "a") -> Append:
    return Append.of(key, number, Entry([number], [f"id-{number}"]), begins=number == 1)


def end(number: int, key: str = "a") -> Append:
    return Append.of(key, number, Entry([], [f"id-{number}"]), ends=True)


async def test_what_was_appended_is_read_in_order(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for number in range(1, 6):
        assert await log.append([entry(number)]) == [True]
    (saved,) = await log.read(["a"])
    assert (saved.number, saved.state) == (5, None)
    assert [each.events for each in saved.tail] == [[1], [2], [3], [4], [5]]


async def test_a_number_is_taken_once_whoever_comes_second(server: RedisServer) -> None:
    first, second = (KeyLog(server.client(), "tally") for _ in range(2))
    assert await first.append([entry(1)]) == [True]
    assert await second.append([entry(1), entry(1, "b")]) == [False, True]
    assert await second.append([entry(2)]) == [True]
    assert await first.append([entry(2)]) == [False]
    for log in (first, second):
        await log._redis.aclose()


async def test_a_snapshot_stands_for_what_it_covers_and_takes_its_place(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for number in range(1, 54):
        await log.append([entry(number)])
    await log.save("a", 50, b"state", [f"id-{number}" for number in range(KEPT_IDS + 7)])
    (saved,) = await log.read(["a"])
    assert (saved.number, saved.state) == (53, b"state")
    assert [each.events for each in saved.tail] == [[51], [52], [53]]
    assert saved.tail_bytes == len(b"[51][52][53]")
    assert saved.seen == [f"id-{number}" for number in range(7, KEPT_IDS + 7)]
    assert await redis.xlen("ballast:tally:log:a") == 3


async def test_a_log_that_was_trimmed_to_nothing_still_knows_its_number(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for number in range(1, 4):
        await log.append([entry(number)])
    await log.save("a", 3, b"state", [])
    assert await log.append([entry(3)]) == [False]
    assert await log.append([entry(4)]) == [True]


async def test_a_late_snapshot_never_replaces_a_newer_one(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for number in range(1, 10):
        await log.append([entry(number)])
    await log.save("a", 9, b"new", ["id-9"])
    await log.save("a", 4, b"old", ["id-4"])
    (saved,) = await log.read(["a"])
    assert (saved.number, saved.state, saved.seen) == (9, b"new", ["id-9"])


async def test_a_deleted_key_is_fresh_and_a_late_holder_is_refused(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for number in range(1, 4):
        await log.append([entry(number)])
    assert await log.append([end(4)]) == [True]
    (saved,) = await log.read(["a"])
    assert (saved.number, saved.state, saved.tail) == (4, None, [])
    assert await log.names("", 10) == []
    assert await log.append([entry(4)]) == [False]
    assert await log.append([entry(5)]) == [True]


async def test_names_are_listed_by_page_and_prefix(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    names = [f"{room}-{n:02d}" for room in ("desk", "venue") for n in range(5)]
    await log.append([entry(1, name) for name in names])
    assert await log.count() == 10
    assert await log.names("", 3) == names[:3]
    assert await log.names(names[2], 3) == names[3:6]
    assert await log.names("", 10, "venue-") == names[5:]
    assert await log.names("venue-03", 10, "venue-") == ["venue-04"]
    assert await log.every_name() == names
    await log.append([entry(1, "venue-東京")])
    assert await log.names("venue-03", 10, "venue-") == ["venue-04", "venue-東京"]


async def test_a_redis_that_is_away_is_an_error(server: RedisServer, redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    await log.append([entry(1)])
    server.kill()
    with pytest.raises((RedisError, OSError)):
        await log.append([entry(2)])
    server.start()
    assert await log.append([entry(2)]) == [True]


async def test_what_makes_room_is_not_refused_by_a_full_redis(redis: Redis) -> None:
    log = KeyLog(redis, "tally")
    for key in ("a", "b"):
        assert await log.append([entry(1, key)]) == [True]
        assert await log.append([entry(2, key)]) == [True]
    await redis.config_set("maxmemory-policy", "noeviction")
    await redis.config_set("maxmemory", 1)
    assert await log.append([entry(3), entry(1, "new")]) == [None, None]
    assert await log.save("a", 2, b"state", ["id-2"])
    assert await redis.xlen(log._log("a")) == 0
    assert await log.append([end(2), end(3, "b")]) == [False, True]
    assert await log.every_name() == ["a"]
    a, b = await log.read(["a", "b"])
    assert (a.number, a.state, b.number, b.empty) == (2, b"state", 3, True)


@pytest.mark.parametrize("broken", ["index", "deleted", "owners", "owned", "owned as a number"])
async def test_a_first_entry_that_cannot_be_counted_or_listed_is_not_appended(
    redis: Redis, broken: str
) -> None:
    log, place = KeyLog(redis, "tally"), QuotaPlace("owners", "owned", "tally:a", "ada")
    await redis.hset("owned", "ada", "none" if broken == "owned as a number" else 0)
    if broken != "owned as a number":
        name = {"index": log.index, "deleted": log.deleted}.get(broken, broken)
        await redis.delete(name)
        await redis.set(name, "of another kind")
    first = Append.of("a", 1, Entry([1], ["id-1"]), begins=True, place=place)
    assert await log.append([first]) == [None]
    assert await redis.xlen(log._log("a")) == 0
    await redis.delete(log.index, log.deleted, "owners", "owned")
    assert await log.append([first]) == [True]
    assert await log.every_name() == ["a"]
    assert await redis.hgetall("owned") == {b"ada": b"1"}


@pytest.mark.parametrize("broken", ["index", "deleted"])
async def test_a_last_entry_that_cannot_be_noted_leaves_the_key_as_it_is(
    redis: Redis, broken: str
) -> None:
    log = KeyLog(redis, "tally")
    await log.append([entry(1)])
    name = {"index": log.index, "deleted": log.deleted}[broken]
    await redis.delete(name)
    await redis.set(name, "of another kind")
    assert await log.append([end(2)]) == [None]
    assert await redis.xlen(log._log("a")) == 1
    await redis.delete(name)
    assert await log.append([end(2)]) == [True]


async def test_a_deleted_key_that_cannot_be_cleared_holds_up_no_other(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    log = KeyLog(redis, "tally")
    for key in ("a", "b", "c", "d", "e"):
        assert await log.append([entry(1, key), end(2, key)]) == [True, True]
    for due, key in enumerate(("a", "b", "c", "d"), 1):  # "e" is to stay for a day
        await redis.zadd(log.deleted, {key: due})
    for key in ("a", "c"):
        await redis.delete(log._snapshot(key))
        await redis.set(log._snapshot(key), "of another kind")
    assert await log.clear_deleted(1) == 1
    assert await redis.zrange(log.deleted, 0, -1) == [b"a", b"c", b"d", b"e"]
    caplog.clear()
    assert await log.clear_deleted(64) == 1
    assert await redis.zrange(log.deleted, 0, -1) == [b"a", b"c", b"e"]
    (line,) = caplog.messages
    assert line.startswith("2 deleted keys cannot be removed, among them 'a': ")
    assert "WRONGTYPE" in line
    await redis.delete(log._snapshot("a"), log._snapshot("c"))
    assert await log.clear_deleted(64) == 2
