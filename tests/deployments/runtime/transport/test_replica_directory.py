from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.running import RunningVersions
from deployments.runtime.replica import PUBLISH_SECONDS
from deployments.runtime.transport import replica_directory
from deployments.runtime.transport.base import Address
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.replica_directory import (
    READ_SECONDS,
    STALE_SECONDS,
    DirectoryEntry,
    DirectoryWatch,
    ReplicaDirectory,
)
from deployments.runtime.transport.tcp import exchange as exchange_module
from deployments.runtime.transport.tcp.exchange import ASK_AGAIN_SECONDS, Exchange
from observability.background import Loops
from settings.redis_connection import REDIS_AWAY
from tests.deployments.replicas import SECRET, Directory, Replica, Room
from tests.redis_server import RedisServer
from tests.waiting import until

ADA, BOB = ("10.0.0.1", 4001), ("fd00::2", 4002)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(redis: Redis, clock: Clock) -> ReplicaDirectory:
    return ReplicaDirectory(redis, clock)


@pytest.fixture
def entry(redis: Redis) -> Callable[[str, Address], DirectoryEntry]:
    return lambda stage, address: DirectoryEntry(redis, stage, address)


Entries = Callable[[str, Address], DirectoryEntry]


async def signed_long_ago(
    redis: Redis, entry: DirectoryEntry, seconds: float = 2 * STALE_SECONDS
) -> None:
    """Sign so many seconds ago, by the clock of Redis."""
    now, _ = await redis.time()
    await redis.hset(*entry.place, repr(now - seconds))


async def test_every_replica_of_every_stage_is_known_at_the_first_look(
    directory: ReplicaDirectory, entry: Entries
) -> None:
    for each in (entry("tail", ADA), entry("tail", BOB), entry("safety", ADA)):
        await each.sign()
    assert await directory.read() == {"tail": {ADA, BOB}, "safety": {ADA}}


async def test_a_replicas_report_signs_for_it(
    redis: Redis, directory: ReplicaDirectory, entry: Entries, clock: Clock
) -> None:
    """Each later one differs, or the gateway would take it for dead."""
    running, signed = RunningVersions(redis), entry("tail", ADA).place
    for _ in range(4):
        await running.report("tail-1", "tail", 1, "h0", signed=signed)
        assert await directory.read() == {"tail": {ADA}}
        clock.now += 0.6 * STALE_SECONDS
    clock.now += 0.6 * STALE_SECONDS
    await running.report("tail-1", "tail", 1, "h0")
    assert await directory.read() == {}


async def test_what_may_be_of_an_earlier_run_must_be_signed_once_more(
    redis: Redis, directory: ReplicaDirectory, entry: Entries
) -> None:
    living, dead, ahead = entry("tail", ADA), entry("tail", BOB), entry("safety", ADA)
    await signed_long_ago(redis, living)
    await signed_long_ago(redis, dead)
    await signed_long_ago(redis, ahead, -60.0)  # before the clock was set back
    assert await directory.read() == {}
    await living.sign()
    await ahead.sign()
    assert await directory.read() == {"tail": {ADA}, "safety": {ADA}}


async def test_so_must_what_came_while_nothing_could_be_read(
    redis: Redis, directory: ReplicaDirectory, entry: Entries, clock: Clock
) -> None:
    await directory.read()
    clock.now += 2 * STALE_SECONDS
    newcomer = entry("tail", ADA)
    await signed_long_ago(redis, newcomer)
    assert await directory.read() == {}
    await newcomer.sign()
    assert await directory.read() == {"tail": {ADA}}


async def test_a_clock_of_redis_that_is_set_drops_nobody(
    redis: Redis, directory: ReplicaDirectory, entry: Entries, clock: Clock
) -> None:
    living = entry("tail", ADA)
    await living.sign()
    assert await directory.read() == {"tail": {ADA}}
    for seconds in (3_600.0, -3_600.0):
        clock.now += 0.6 * STALE_SECONDS
        await signed_long_ago(redis, living, seconds)
        assert await directory.read() == {"tail": {ADA}}


async def test_who_signs_no_more_is_dropped_for_everybody(
    redis: Redis, directory: ReplicaDirectory, entry: Entries, clock: Clock
) -> None:
    await directory.read()
    living, dying = entry("tail", ADA), entry("tail", BOB)
    await dying.sign()
    await living.sign()
    assert await directory.read() == {"tail": {ADA, BOB}}
    clock.now += 0.9 * STALE_SECONDS
    await living.sign()
    assert await directory.read() == {"tail": {ADA, BOB}}
    clock.now += 0.2 * STALE_SECONDS
    assert await directory.read() == {"tail": {ADA}}
    assert len(await redis.hgetall(replica_directory.key(redis))) == 1
    await dying.sign()  # it was only stopped
    assert await directory.read() == {"tail": {ADA, BOB}}


async def test_who_withdraws_is_gone_at_once(directory: ReplicaDirectory, entry: Entries) -> None:
    await directory.read()
    leaving, staying = entry("tail", ADA), entry("tail", BOB)
    await leaving.sign()
    await staying.sign()
    await leaving.withdraw()
    assert await directory.read() == {"tail": {BOB}}


async def test_an_entry_of_another_release_hides_no_other(
    redis: Redis, directory: ReplicaDirectory, entry: Entries
) -> None:
    await directory.read()
    for field in ("", "tail", "tail 1.2.3.4:http", "tail a b"):
        await redis.hset(replica_directory.key(redis), field, "1")
    await entry("tail", ADA).sign()
    assert await directory.read() == {"tail": {ADA}}


async def echo(frame: Frame) -> Frame:
    return frame


class Gateway:
    """What a gateway has to find replicas by."""

    def __init__(self, redis: Redis, serve: Directory) -> None:
        self.loops = Loops()
        self.watch = DirectoryWatch(ReplicaDirectory(redis, lambda: 0.0), self.loops)
        listing = self.watch.listing("stage")
        as_handle: Any = serve
        self.exchange = Exchange("stage", as_handle, SECRET, self.loops, listing)
        self.watch.start()
        self.exchange.start()

    def knows(self, *replicas: Replica) -> bool:
        """Tell whether it has reached them all, and they have noticed."""
        reached = {each.address for each in replicas} <= self.exchange.alive().keys()
        return reached and all(each.server._connections for each in replicas)


@pytest.fixture
async def gateways() -> AsyncIterator[Callable[[Redis, Directory], Gateway]]:
    opened: list[Gateway] = []

    def open_gateway(redis: Redis, serve: Directory) -> Gateway:
        opened.append(Gateway(redis, serve))
        return opened[-1]

    yield open_gateway
    for each in opened:
        await each.watch.stop()
        await each.exchange.stop()
        await each.loops.stop()


Gateways = Callable[[Redis, Directory], Gateway]


def sign(gateway: Gateway, redis: Redis, replica: Replica) -> None:
    """Begin to sign, as a replica does when it opens."""
    entry = DirectoryEntry(redis, "stage", replica.address)
    gateway.loops.start("sign", entry.sign, lambda: PUBLISH_SECONDS, expected=REDIS_AWAY)


async def test_a_gateway_finds_replicas_that_serve_has_not_named(
    room: Room, redis: Redis, gateways: Gateways
) -> None:
    replicas = [await room.replica(echo) for _ in range(8)]
    serve = Directory(replicas[0].address)
    gateway = gateways(redis, serve)
    for each in replicas:
        sign(gateway, redis, each)
    await until(lambda: gateway.knows(*replicas))
    assert READ_SECONDS + ASK_AGAIN_SECONDS < 1.0
    assert 2 * PUBLISH_SECONDS < STALE_SECONDS
    late = await room.replica(echo)
    asked = serve.questions
    sign(gateway, redis, late)
    await until(lambda: gateway.knows(late))
    assert serve.questions == asked


async def test_while_redis_is_away_serve_is_asked(
    room: Room,
    redis: Redis,
    redis_server: RedisServer,
    gateways: Gateways,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "ASK_EVERY_SECONDS", 0.06)
    first, second, third = [await room.replica(echo) for _ in range(3)]
    serve = Directory()
    gateway = gateways(redis, serve)
    sign(gateway, redis, first)
    await until(lambda: gateway.knows(first))
    redis_server.kill()
    await until(lambda: not gateway.watch.listing("stage").addresses)
    assert gateway.knows(first)  # what was found stays
    serve.addresses.append(second.address)
    await until(lambda: gateway.knows(first, second))
    redis_server.start()
    sign(gateway, redis, third)
    await until(lambda: gateway.knows(first, second, third))


async def test_where_nobody_listed_can_be_reached_serve_is_asked(
    room: Room, redis: Redis, gateways: Gateways
) -> None:
    dead, living = await room.replica(echo), await room.replica(echo)
    serve = Directory()
    gateway = gateways(redis, serve)
    sign(gateway, redis, dead)
    await until(lambda: gateway.knows(dead))
    serve.addresses.append(living.address)
    dead.kill()
    await until(lambda: gateway.knows(living))
