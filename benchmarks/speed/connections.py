"""The open loop's connections: HTTP/1.1 kept alive, one request in flight on each."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from benchmarks.speed.target import Target

RETRY_SECONDS = 0.05


@dataclass
class Record:
    latencies: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    ok: int = 0
    non_2xx: int = 0
    lost: int = 0


@dataclass(frozen=True)
class Shot:
    scheduled: float
    request: bytes


def wire_requests(target: Target) -> list[bytes]:
    """Make complete HTTP/1.1 requests of the target's bodies."""
    url = urlsplit(target.url)
    headers = {"Host": url.netloc, "Content-Type": "application/json", **target.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return [
        f"POST {url.path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for body in target.bodies.read_bytes().splitlines()
    ]


class Pool:
    """Connections opened beforehand; a shot that finds none free waits, and its wait counts."""

    def __init__(self, url: str, size: int, shots: int) -> None:
        where = urlsplit(url)
        self.host, self.port = where.hostname or "", where.port or 80
        self.size = size
        self.record = Record()
        self.waiting: deque[Shot] = deque()
        # First in, first out: each is used often enough that no server closes it as idle.
        self.free: deque[Connection] = deque()
        self.connections: set[Connection] = set()
        self.repairs: set[asyncio.Task[None]] = set()
        self.closed = False
        self.unsettled = shots
        self.settled = asyncio.Event()

    async def open(self) -> None:
        for _ in range(self.size):
            await self._connect()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Connection(self), self.host, self.port)

    async def _reconnect(self) -> None:
        connected = False
        while not (connected or self.closed):
            try:
                await self._connect()
                connected = True
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)

    def send(self, shot: Shot) -> None:
        if self.free:
            self.record.lateness.append(_now() - shot.scheduled)
            self.free.popleft().send(shot)
        else:
            self.waiting.append(shot)

    def ready(self, connection: "Connection") -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)

    def answered(self, shot: Shot, status: int) -> None:
        self._settle(shot)
        if 200 <= status < 300:  # noqa: PLR2004 - the class of successes
            self.record.ok += 1
        else:
            self.record.non_2xx += 1

    def lose(self, shot: Shot) -> None:
        self._settle(shot)
        self.record.lost += 1

    def _settle(self, shot: Shot) -> None:
        self.record.latencies.append(_now() - shot.scheduled)
        self.unsettled -= 1
        if not self.unsettled:
            self.settled.set()

    def gone(self, connection: "Connection") -> None:
        self.connections.discard(connection)
        if connection in self.free:
            self.free.remove(connection)
        if not self.closed:
            repair = asyncio.get_running_loop().create_task(self._reconnect())
            self.repairs.add(repair)
            repair.add_done_callback(self.repairs.discard)

    async def close(self) -> None:
        """Count what is still unanswered as lost, at the time that it has waited so far."""
        self.closed = True
        while self.waiting:
            self.lose(self.waiting.popleft())
        for connection in list(self.connections):
            connection.abandon()
        await asyncio.gather(*self.repairs)


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.shot: Shot | None = None
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP gives no other
        self.transport = transport
        self.pool.connections.add(self)
        self.pool.ready(self)

    def send(self, shot: Shot) -> None:
        self.shot = shot
        self.transport.write(shot.request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Take the answer, now that the parser has seen all of it."""
        shot, self.shot = self.shot, None
        if shot is not None:
            self.pool.answered(shot, self.parser.get_status_code())
        if self.parser.should_keep_alive():
            self.pool.ready(self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.pool.gone(self)
        self._lose_shot()

    def abandon(self) -> None:
        self._lose_shot()
        self.transport.abort()

    def _lose_shot(self) -> None:
        shot, self.shot = self.shot, None
        if shot is not None:
            self.pool.lose(shot)


def _now() -> float:
    return asyncio.get_running_loop().time()
