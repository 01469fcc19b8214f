"""The names of all keys and channels in Redis: under one prefix, which belongs to one platform.

The prefix travels with the client. Whoever holds a client names its keys by `redis_name`, so that
no part can forget the prefix that another part uses.
"""

from typing import Any, Self

from redis.asyncio import ConnectionPool, Redis

from settings.redis_prefix import DEFAULT_PREFIX
from settings.redis_writes import write_directly


class PrefixedRedis(Redis):
    """A client that names the keys and channels of one platform; it changes no command."""

    name_prefix = DEFAULT_PREFIX

    @classmethod
    def open(cls, url: str, name_prefix: str, **options: Any) -> Self:
        """Open a client, with the options that redis-py's `from_url` takes."""
        client = cls(connection_pool=write_directly(ConnectionPool.from_url(url, **options)))
        client.auto_close_connection_pool = True  # the pool is this client's alone
        client.name_prefix = name_prefix
        return client


def redis_name(redis: Redis, *parts: str) -> str:
    """Name a key or a channel; a client without a prefix of its own has the default one."""
    prefix = redis.name_prefix if isinstance(redis, PrefixedRedis) else DEFAULT_PREFIX
    return prefix + ":".join(parts)
