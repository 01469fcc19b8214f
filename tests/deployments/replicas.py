"""Replicas in this event loop, and what stands in Serve's place: the directory that names them."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Self

from deployments.runtime.transport.call import Handler
from deployments.runtime.transport.replica_directory import Listing
from deployments.runtime.transport.tcp.channel import Channel
from deployments.runtime.transport.tcp.exchange import Exchange
from deployments.runtime.transport.tcp.server import WireServer
from tests.stopping import stop

SECRET = b"what the platform's own processes know"


class Replica:
    """One real wire server; `kill` ends it as kill -9 does: at once, and without a word."""

    def __init__(self, handler: Handler, holds: Callable[[], Sequence[str]] | None = None) -> None:
        self.server = WireServer(handler, SECRET, holds)
        self.address = ("", 0)

    async def open(self) -> Self:
        self.address = await self.server.open("127.0.0.1")
        return self

    def kill(self) -> None:
        kill(self.server)

    async def channel(self, secret: bytes = SECRET) -> Channel:
        return await Channel.connect(*self.address, secret)


def kill(server: WireServer) -> None:
    assert server._server is not None
    server._server.close()
    # One that is just being made is gone too.
    came: Any = lambda connection: connection._transport.abort()  # noqa: E731 - put in a method's place
    server.came = came  # type: ignore[method-assign]
    for connection in tuple(server._connections):
        assert connection._transport is not None
        connection._transport.abort()


# Takes questions and answers none, but pings.
_SILENT = """
import asyncio, sys
from deployments.runtime.transport.tcp.server import WireServer

async def silent(frame):
    print("asked", flush=True)
    await asyncio.sleep(600)

async def serve():
    _, port = await WireServer(silent, sys.argv[1].encode()).open("127.0.0.1")
    print(port, flush=True)
    await asyncio.sleep(600)

asyncio.run(serve())
"""


class SilentReplica:
    """A replica in a process of its own, which can be stopped and killed."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", _SILENT, SECRET.decode()]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1", int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    async def was_asked(self) -> None:
        assert await asyncio.to_thread(self._read) == "asked"

    def stop(self) -> None:
        stop(self._process.pid)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class Directory:
    """What an exchange asks Serve for: the address of one replica, another one each time."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = list(addresses)
        self.questions = 0
        self._turns = count()

    @property
    def where(self) -> Self:
        return self

    async def remote(self) -> tuple[str, int]:
        self.questions += 1
        if not self.addresses:
            raise ConnectionError("no replica runs")
        return self.addresses[next(self._turns) % len(self.addresses)]


class Room:
    """Where a test opens replicas and exchanges; whatever it leaves open is closed."""

    def __init__(self) -> None:
        self._replicas: list[Replica] = []
        self._exchanges: list[Exchange] = []

    async def replica(
        self, handler: Handler, holds: Callable[[], Sequence[str]] | None = None
    ) -> Replica:
        self._replicas.append(await Replica(handler, holds).open())
        return self._replicas[-1]

    def exchange(self, directory: Any, listing: Listing | None = None) -> Exchange:
        self._exchanges.append(Exchange("stage", directory, SECRET, listing=listing))
        self._exchanges[-1].start()
        return self._exchanges[-1]

    async def close(self) -> None:
        for exchange in self._exchanges:
            await exchange.stop()
        for replica in self._replicas:
            replica.kill()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn
