"""How many states a replica holds in memory, and what becomes of the others."""

from collections.abc import Callable

from redis.asyncio import Redis

from deployments.runtime.state.cache import SHORT_LOG_ENTRIES, StateCacheLimits
from deployments.runtime.state.log import KeyLog
from tests.deployments.runtime.state.asking import Clock, Service, expected, totals
from tests.redis_server import RedisServer

FEW = StateCacheLimits(most_residents=10, idle_seconds=1e9)
SMALL = StateCacheLimits(most_bytes=20_000, idle_seconds=1e9)  # about ten tallies
Make = Callable[..., Service]


async def test_those_idle_longest_leave_at_once_when_many_come(service: Make) -> None:
    for limits in (FEW, SMALL):
        one = service(limits)
        await totals(one, *[(f"first-{at}", 1) for at in range(10)])
        await totals(one, *[(f"{at}", 1) for at in range(500)])
        # A batch's own keys stay until the next one.
        assert len(one.cache) <= 500
        await totals(one, ("0", 1))
        assert len(one.cache) <= 10
        assert one.cache.bytes <= max(limits.most_bytes, 20_000)


async def test_what_left_is_as_it_was(service: Make) -> None:
    one = service(FEW)
    for _ in range(3):
        for at in range(30):
            await totals(one, (f"{at}", at))
    found = await totals(one, *[(f"{at}", None) for at in range(30)])
    assert found == [expected([at] * 3) for at in range(30)]


async def test_a_short_log_is_left_as_it_is_and_a_long_one_becomes_a_snapshot(
    service: Make, redis: Redis
) -> None:
    limits = StateCacheLimits(snapshot_after_entries=1_000, most_residents=1, idle_seconds=1e9)
    one = service(limits)
    await totals(one, ("short", 1))
    for at in range(SHORT_LOG_ENTRIES + 1):
        await totals(one, ("long", at))
    await totals(one, ("another", 1))
    await one.tidy()
    short, long = await KeyLog(redis, "tally").read(["short", "long"])
    assert (short.state, len(short.tail)) == (None, 1)
    assert long.state is not None
    assert not long.tail


async def test_bytes_are_counted_as_states_come_and_go(service: Make) -> None:
    clock = Clock()
    one = service(StateCacheLimits(idle_seconds=10), clock)
    await totals(one, *[(f"{at}", 1) for at in range(20)])
    assert one.cache.bytes > 20 * 1_000
    clock.now = 100.0
    await one.tidy()
    assert (len(one.cache), one.cache.bytes) == (0, 0)
    assert one.cache.evicted == 20


async def test_room_is_made_while_redis_is_away(service: Make, server: RedisServer) -> None:
    one = service(StateCacheLimits(most_residents=5, idle_seconds=1e9))
    for _ in range(SHORT_LOG_ENTRIES + 2):
        await totals(one, *[(f"{at}", 1) for at in range(8)])
    server.kill()
    await one.cache.make_room(())
    assert len(one.cache) == 5
    server.start()
    found = await totals(one, *[(f"{at}", None) for at in range(8)])
    assert found == [expected([1] * (SHORT_LOG_ENTRIES + 2))] * 8
