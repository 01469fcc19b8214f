"""Connections to Redis whose writes take no task of their own.

redis-py gives each write to asyncio.wait_for, which on Python 3.11 makes a task of it and goes
through the event loop three times before it is done, though the kernel mostly takes it at once.
Here a limit of time lies around the write itself; what it raises is the same.
"""

import asyncio
from collections.abc import Iterable

from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Direct(AbstractConnection):
    """Writes in the task that asks."""

    __slots__ = ()

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if check_health:
            await self.check_health()  # type: ignore[no-untyped-call] # redis-py's own
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(_pieces(command))
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("Timeout writing to socket") from None
        except OSError as error:
            await self.disconnect(nowait=True)
            raise RedisConnectionError(f"{error!r} while writing to socket") from error
        except BaseException:  # what is written half cannot be taken back
            await self.disconnect(nowait=True)
            raise


class DirectConnection(_Direct, Connection):
    """Over TCP."""


class DirectSslConnection(_Direct, SSLConnection):
    """Over TLS."""


class DirectUnixConnection(_Direct, UnixDomainSocketConnection):
    """Over a socket in the file system."""


_DIRECT: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: DirectConnection,
    SSLConnection: DirectSslConnection,
    UnixDomainSocketConnection: DirectUnixConnection,
}


def write_directly(pool: ConnectionPool) -> ConnectionPool:
    """Have a pool open such connections from now on; of another kind it stays as it is."""
    kind = pool.connection_class
    pool.connection_class = _DIRECT.get(kind, kind)
    return pool


def _pieces(command: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(command, str):
        return [command.encode()]
    return [command] if isinstance(command, bytes) else command
