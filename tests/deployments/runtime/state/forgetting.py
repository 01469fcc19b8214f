"""A Redis that forgets the latest of what it acknowledged, as after a power cut of its machine."""

from pathlib import Path

from redis.asyncio import Redis

from tests.redis_server import RedisServer

Contents = dict[bytes, bytes]


def power_cut(server: RedisServer, synced: int) -> None:
    """Start it again with no more of its file than was synced."""
    server.kill()
    file = _file(server)
    file.write_bytes(file.read_bytes()[:synced])
    server.start()


def written(server: RedisServer) -> int:
    """Give the size of its file; what it acknowledged is in there where it syncs each time."""
    return _file(server).stat().st_size


async def contents(redis: Redis) -> Contents:
    """Give all that is in there at this moment."""
    names = sorted([name async for name in redis.scan_iter()])
    values = [(name, await redis.dump(name)) for name in names]
    return {name: value for name, value in values if value is not None}


async def go_back(redis: Redis, to: Contents) -> None:
    """Have it hold what it held then, and nothing of what came since."""
    await redis.flushdb()
    for name, value in to.items():
        await redis.restore(name, 0, value)


def _file(server: RedisServer) -> Path:
    (found,) = [
        *server.folder.glob("appendonly.aof"),
        *server.folder.glob("appendonlydir/*.incr.aof"),
    ]
    return found
