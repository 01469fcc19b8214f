import ast
import asyncio
import socket
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from settings.redis_connection import CONNECT_SECONDS, KEEPALIVE, REDIS_AWAY, open_redis
from tests.surface.source import last_name, module, product


async def test_a_redis_that_is_away_is_told_at_once(redis: Redis, redis_server: Any) -> None:
    await redis.set("a", 1)
    redis_server.kill()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(REDIS_AWAY):
            await redis.get("a")
        assert time.monotonic() - began < CONNECT_SECONDS  # at once: no deadline ran out


async def test_a_pooled_connection_survives_a_restart_between_commands(
    redis: Redis, redis_server: Any
) -> None:
    await redis.set("a", 1)
    redis_server.kill()
    redis_server.start()
    await asyncio.sleep(0.01)  # the event loop reads that the old connection has ended
    # Nothing is retried, so this works only because the pool notices the dead connection.
    assert await redis.get("a") == b"1"


async def test_a_redis_that_hangs_is_given_up_on(redis: Redis, redis_server: Any) -> None:
    await redis.set("a", 1)
    redis_server.freeze()
    with pytest.raises(REDIS_AWAY):
        await redis.get("a")  # it would wait for as long as the server is frozen
    redis_server.thaw()
    assert await redis.get("a") == b"1"


async def test_the_kernel_asks_after_a_silent_connection(tcp_redis_server: Any) -> None:
    client = open_redis(f"redis://127.0.0.1:{tcp_redis_server.port}")
    async with client, client.pubsub() as notices:
        await notices.subscribe("config")
        link = notices.connection._writer.get_extra_info("socket")
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        for option, wanted in KEEPALIVE.items():
            assert link.getsockopt(socket.IPPROTO_TCP, option) == wanted


async def test_the_three_kinds_of_url(redis_server: Any) -> None:
    for url in (redis_server.url, "redis://127.0.0.1:1", "rediss://127.0.0.1:1"):
        await open_redis(url).aclose()
    with pytest.raises(ValueError, match="redis://"):
        open_redis("http://127.0.0.1")


async def test_a_connection_is_made_without_reading_the_installed_package_again(
    redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_again(_: str) -> str:
        raise AssertionError("it takes milliseconds, in the event loop")

    monkeypatch.setattr("redis.utils.metadata.version", read_again)
    async with open_redis(redis_server.url) as client:
        assert await client.ping()


HOME = "settings/redis_connection.py"


def written_out(tree: ast.AST) -> bool:
    """Tell whether both exceptions stand side by side, as a tuple or as arguments."""
    for node in ast.walk(tree):
        match node:
            case ast.Tuple(elts=parts) | ast.Call(args=parts):
                if {"RedisError", "OSError"} <= {last_name(each) for each in parts}:
                    return True
    return False


def test_what_an_absent_redis_raises_is_written_out_once() -> None:
    assert written_out(module(HOME))
    assert not any(written_out(tree) for tree in product(but=[HOME]))
    assert written_out(ast.parse("with suppress(RedisError, OSError): ..."))
