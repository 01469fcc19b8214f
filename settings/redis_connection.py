"""Opens Redis the way a request path needs it: quick to connect, quick to say that it is away."""

import socket
from typing import Any

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError

from settings.redis_names import PrefixedRedis
from settings.redis_prefix import DEFAULT_PREFIX

# A Redis that has not answered a local connection attempt by then is away.
CONNECT_SECONDS = 1.0
# The append-only file's fsync can hold a command up; a command past this would hold up requests.
COMMAND_SECONDS = 2.0

# A subscription whose other end vanished without a word would wait for notices for ever; the
# kernel asks after it instead and ends it after eleven seconds of silence.
KEEPALIVE = {socket.TCP_KEEPIDLE: 5, socket.TCP_KEEPINTVL: 2, socket.TCP_KEEPCNT: 3}

# What is raised where Redis is away, or does not answer in time: a TimeoutError is an OSError.
REDIS_AWAY = (RedisError, OSError)

# redis-py would read its own version from the installed package again for every connection.
DRIVER = DriverInfo()


def open_redis(url: str, name_prefix: str = DEFAULT_PREFIX) -> PrefixedRedis:
    """Open a client for redis://, rediss:// or unix:// that never retries by itself.

    Retries take time, in which every request would wait; and a retried append whose first answer
    was lost would be in the ledger twice. Who calls knows what to do instead.
    """
    over_tcp: dict[str, Any] = {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    return PrefixedRedis.open(
        url,
        name_prefix,
        **({} if url.startswith("unix://") else over_tcp),
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=COMMAND_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=DRIVER,
    )
