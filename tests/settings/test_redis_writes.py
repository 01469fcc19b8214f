"""A write to Redis takes no task, and fails as redis-py's own does."""

import asyncio
import inspect
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from settings.redis_connection import open_redis
from settings.redis_writes import DirectConnection, DirectSslConnection, DirectUnixConnection


def test_redis_py_still_makes_a_task_of_each_write() -> None:
    source = inspect.getsource(AbstractConnection.send_packed_command)
    assert "asyncio.wait_for(" in source
    assert "self._send_packed_command(command), self.socket_timeout" in source


async def test_each_kind_of_url_is_written_to_directly(redis_server: Any) -> None:
    kinds = {
        redis_server.url: DirectUnixConnection,
        "redis://127.0.0.1:1": DirectConnection,
        "rediss://127.0.0.1:1": DirectSslConnection,
    }
    for url, kind in kinds.items():
        client = open_redis(url)
        pool: Any = client.connection_pool
        assert type(pool.make_connection()) is kind
        await client.aclose()


async def test_a_command_makes_no_task(redis_server: Any) -> None:
    made: list[Any] = []

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **named: Any) -> "asyncio.Task[Any]":
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **named)

    async with open_redis(redis_server.url) as client:
        await client.ping()
        asyncio.get_running_loop().set_task_factory(make)
        try:
            assert await client.set("a", b"x" * 100)
            assert await client.get("a") == b"x" * 100
        finally:
            asyncio.get_running_loop().set_task_factory(None)
    assert made == []


async def test_many_at_once_and_large_ones_arrive(redis_server: Any) -> None:
    large = b"x" * 5_000_000
    async with open_redis(redis_server.url) as client:
        await asyncio.gather(*(client.set(f"k{at}", at) for at in range(50)))
        await client.set("large", large)
        pipe = client.pipeline(transaction=True)
        for at in range(50):
            pipe.get(f"k{at}")
        assert await pipe.execute() == [b"%d" % at for at in range(50)]
        assert await client.get("large") == large


@pytest.mark.parametrize(
    ("trouble", "raised"),
    [
        (TimeoutError(), RedisTimeoutError),
        (BrokenPipeError(32, "Broken pipe"), RedisConnectionError),
        (asyncio.CancelledError(), asyncio.CancelledError),
    ],
)
async def test_a_write_that_fails_ends_the_connection(
    redis_server: Any, trouble: BaseException, raised: type[BaseException]
) -> None:
    async with open_redis(redis_server.url) as client:
        pool: Any = client.connection_pool
        connection = await pool.get_connection()

        async def fail(_: Any) -> None:
            raise trouble

        connection._send_packed_command = fail
        with pytest.raises(raised):
            await connection.send_command("PING")
        assert not connection.is_connected
        del connection._send_packed_command
        await client.connection_pool.release(connection)
        assert await client.ping()


async def test_a_write_that_takes_too_long_is_given_up(redis_server: Any) -> None:
    async with open_redis(redis_server.url) as client:
        pool: Any = client.connection_pool
        connection = await pool.get_connection()

        async def hang(_: Any) -> None:
            await asyncio.Event().wait()

        connection.socket_timeout = 0.02
        connection._send_packed_command = hang
        with pytest.raises(RedisTimeoutError):
            await connection.send_command("PING")
        assert not connection.is_connected
        await client.connection_pool.release(connection)


async def test_a_subscription_is_written_to_directly_too(redis_server: Any, redis: Redis) -> None:
    async with open_redis(redis_server.url) as client, client.pubsub() as notices:
        await notices.subscribe("news")
        assert isinstance(notices.connection, DirectUnixConnection)
        assert await notices.get_message(timeout=5.0) is not None  # the confirmation
        await redis.publish("news", "now")
        found = await notices.get_message(ignore_subscribe_messages=True, timeout=5.0)
        assert found is not None
        assert found["data"] == b"now"
