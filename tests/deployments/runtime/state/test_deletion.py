"""Keys that are deleted, and what begins anew under their names."""

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.scripts import DELETED_SECONDS
from deployments.runtime.state.stage import Repair
from deployments.runtime.state.tags import key_by_tag, tagged
from observability.background import Loops
from tests.deployments.runtime.state.asking import SMALL, Clock, Service, ask, batch, totals
from tests.redis_server import RedisServer
from tests.waiting import until

# The deletion of the releases that had Redis expire the key's own log and snapshot.
_EXPIRING_DELETION = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'n', ARGV[1], 's', '')
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[3])
return 1
"""


async def expiring(redis: Redis) -> list[str]:
    """Name everything that Redis would drop by itself."""
    names = [name async for name in redis.scan_iter()]
    return [name.decode() for name in names if await redis.ttl(name) >= 0]


async def listed(redis: Redis) -> list[str]:
    return await KeyLog(redis, "tally").every_name()


async def delete_as_before(redis: Redis, key: str, number: int) -> None:
    """Delete a key as the release before this one did: its entry first, then the rest."""
    log, snapshot = f"ballast:tally:log:{key}", f"ballast:tally:snapshot:{key}"
    await redis.xadd(log, {"e": '["delete"]', "i": '["d"]'}, id=f"{number}-0")
    names = [snapshot, log, "ballast:tally:index"]
    await redis.eval(_EXPIRING_DELETION, 3, *names, number, DELETED_SECONDS, key)


async def append_as_before(redis: Redis, key: str, number: int, value: float) -> None:
    fields: Any = {"e": f"[{value}]", "i": f'["before-{number}"]'}
    await redis.xadd(f"ballast:tally:log:{key}", fields, id=f"{number}-0")


async def test_what_begins_anew_never_expires(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0))
    await ask(one, ("a", "delete"))
    assert await expiring(redis) == []
    for _ in range(9):
        await ask(one, ("a", 2.0))
    await one.tidy()  # writes a snapshot
    assert await expiring(redis) == []


async def test_what_begins_anew_is_listed_and_found_by_its_decisions(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0))
    await ask(one, ("a", "delete"))
    assert await listed(redis) == []
    anew = batch(("a", 3.0))
    anew.ids = [tagged(anew.ids[0], "a")]
    await one.answer(anew, "tally/plain", "1")
    assert await listed(redis) == ["a"]
    assert await totals(service(), (key_by_tag(anew.ids[0]), None)) == [3.0]


async def test_rows_behind_a_deletion_in_one_batch_begin_anew(
    service: Callable[..., Service],
) -> None:
    one = service()
    rows = [("a", 1.0), ("a", "delete"), ("a", 5.0), ("b", 2.0), ("a", "delete"), ("a", 7.0)]
    assert await totals(one, *rows) == [1.0, 0.0, 5.0, 2.0, 0.0, 7.0]
    for replica in (one, service()):
        assert await totals(replica, ("a", None), ("b", None)) == [7.0, 2.0]


async def test_a_late_holder_neither_appends_nor_saves_what_is_gone(
    redis: Redis, service: Callable[..., Service]
) -> None:
    for anew in (False, True):
        one, late = service(), service()
        for _ in range(6):
            await ask(late, ("a", 1.0))
        await ask(one, ("a", "delete"))
        if anew:
            await ask(one, ("a", 4.0))
        await late.close()  # saves what it holds
        assert await totals(service(), ("a", None)) == [4.0 if anew else 0.0]
        assert await listed(redis) == (["a"] if anew else [])
        assert (await totals(late, ("a", 8.0))) == [0.5 * 4.0 + 8.0 if anew else 8.0]
        await ask(one, ("a", "delete"))


async def test_what_is_sent_again_after_a_deletion_does_not_bring_the_key_back(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ids=["taken"])
    await ask(one, ("a", "delete"), ids=["deleted"])
    other = service()
    again = await ask(other, ("a", 1.0), ("a", "delete"), ids=["taken", "deleted"])
    assert again.refusals == {}
    assert again.details[0] == {"data": {"again": "taken"}}
    assert await listed(redis) == []


async def test_what_is_left_of_a_deleted_key_goes_in_the_end(
    redis: Redis, service: Callable[..., Service]
) -> None:
    clock = Clock()
    one = service(SMALL, clock)
    for key in "ab":
        await ask(one, (key, 1.0))
        await ask(one, (key, "delete"))
    await redis.zadd("ballast:tally:deleted", {"a": 0})  # its day is over
    for passed in (1, 100, 200):
        clock.now = passed
        await one.tidy()
    names = [name.decode() async for name in redis.scan_iter("ballast:tally:*:a")]
    assert names == []
    left = {name.decode() async for name in redis.scan_iter("ballast:tally:*")}
    assert left == {"ballast:tally:deleted", "ballast:tally:log:b", "ballast:tally:snapshot:b"}
    # Who remembers the number of what is gone altogether has to look again.
    assert await totals(one, ("a", 2.0)) == [2.0]
    assert await totals(service(), ("a", None)) == [2.0]


async def test_what_an_earlier_release_deleted_and_began_anew_is_repaired_when_read(
    redis: Redis, service: Callable[..., Service]
) -> None:
    await ask(service(), ("a", 1.0))
    await delete_as_before(redis, "a", 2)
    await append_as_before(redis, "a", 3, 5.0)
    assert await totals(service(), ("a", None)) == [5.0]
    assert await expiring(redis) == []
    assert await listed(redis) == ["a"]


async def test_also_when_nobody_reads_it(redis: Redis, service: Callable[..., Service]) -> None:
    one = service()
    for key in "abc":
        await ask(one, (key, 1.0))
    for key in "ab":
        await delete_as_before(redis, key, 2)
    await append_as_before(redis, "a", 3, 5.0)
    await service().repair()
    assert await expiring(redis) == []
    assert await listed(redis) == ["a", "c"]
    assert await redis.zcard("ballast:tally:deleted") == 1  # of b the number is left
    assert await totals(service(), ("a", None), ("b", 2.0), ("c", None)) == [5.0, 2.0, 1.0]


async def test_also_when_redis_was_away_as_the_replica_began(
    redis: Redis,
    server: RedisServer,
    service: Callable[..., Service],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await ask(service(), ("a", 1.0), ("b", 1.0))
    await delete_as_before(redis, "a", 2)
    await append_as_before(redis, "a", 3, 5.0)
    server.kill()
    loops, repair = Loops(), Repair([service()])
    loops.start("repair states", repair.step, lambda: 0.01, expected=(RedisError, OSError))
    await until(lambda: "'repair states' failed" in caplog.text)
    server.start()
    await until(lambda: repair.done)
    await loops.stop()
    assert await expiring(redis) == []
    assert await listed(redis) == ["a", "b"]


async def test_a_service_that_cannot_be_repaired_holds_up_no_other(
    redis: Redis, service: Callable[..., Service]
) -> None:
    class Broken:
        async def repair(self) -> None:
            raise ValueError("a name that is none")

    await ask(service(), ("a", 1.0))
    await delete_as_before(redis, "a", 2)
    await append_as_before(redis, "a", 3, 5.0)
    broken: Any = Broken()
    repair = Repair([broken, service()])
    with pytest.raises(ValueError, match="none"):
        await repair.step()
    assert not repair.done
    assert await expiring(redis) == []


async def test_an_earlier_release_goes_on_with_what_this_one_deleted(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0))
    await ask(one, ("a", "delete"))
    # It reads the number beside the empty state, takes the next, and lists only number 1.
    assert await redis.hmget("ballast:tally:snapshot:a", "n", "s") == [b"2", b""]
    await append_as_before(redis, "a", 3, 5.0)
    assert await totals(service(), ("a", None)) == [5.0]
    assert await listed(redis) == ["a"]
    assert await redis.zcard("ballast:tally:deleted") == 0


async def test_what_an_earlier_release_listed_though_it_is_gone_is_taken_off_the_list(
    redis: Redis, service: Callable[..., Service]
) -> None:
    one = service()
    await ask(one, ("a", 1.0), ("b", 1.0))
    await ask(one, ("a", "delete"))
    await delete_as_before(redis, "b", 2)
    # A late first entry was refused, and its key listed all the same.
    await redis.zadd("ballast:tally:index", {"a": 0, "b": 0})
    assert await totals(service(), ("a", None), ("b", None)) == [0.0, 0.0]
    assert await listed(redis) == []
    assert await totals(service(), ("a", 3.0), ("b", 3.0)) == [3.0, 3.0]
    assert await listed(redis) == ["a", "b"]
