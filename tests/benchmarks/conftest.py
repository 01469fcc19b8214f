import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from benchmarks.speed.bodies import write_bodies
from benchmarks.speed.results import Run
from benchmarks.speed.target import Target
from benchmarks.speed.wrk import ClosedLoop

Respond = Callable[[int], int]
"""From the number of the request, counted from 0, to the status of the answer."""


class OneWorkerServer(ThreadingHTTPServer):
    """Real HTTP/1.1 on loopback, whose requests are taken one at a time."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.turn = threading.Lock()
        self.numbers = count()
        self.received: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def answer(self, key: str, body: bytes) -> int:
        with self.turn:
            self.received.append((key, body))
            return self.respond(next(self.numbers))


class Handler(BaseHTTPRequestHandler):
    server: OneWorkerServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet an answer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answer(self.headers["X-API-Key"], body)
        if status == 0:  # hang up without an answer
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serve(bodies: Path, respond: Respond) -> Iterator[tuple[Target, OneWorkerServer]]:
    server = OneWorkerServer(respond)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/predict"
        yield Target(url, {"X-API-Key": "k"}, bodies), server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def serving(
    tmp_path: Path,
) -> Callable[[Respond], AbstractContextManager[tuple[Target, OneWorkerServer]]]:
    return partial(serve, write_bodies(tmp_path / "bodies.jsonl", [{"load": 0.5}, {"load": 0.6}]))


def closed_loop_of(
    rps: float, *, p50_ms: float = 2.0, p99_ms: float = 20.0, non_2xx: int = 0
) -> ClosedLoop:
    return ClosedLoop(
        rps=rps,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        p999_ms=p99_ms * 2,
        mean_ms=p50_ms,
        max_ms=p99_ms * 3,
        non_2xx=non_2xx,
        socket_errors=0,
    )


@pytest.fixture
def rng() -> random.Random:
    return random.Random(1)  # noqa: S311 - bodies and arrival times, not secrets


@pytest.fixture
def closed() -> Callable[..., ClosedLoop]:
    return closed_loop_of


@pytest.fixture
def runs() -> list[Run]:
    """Return what Ballast, three servers and the plain program did at 1 and 64 clients."""
    rates = {"ballast": 4000.0, "litserve": 1760.0, "mlserver": 1780.0, "bentoml": 700.0}
    return [
        Run(name, "default", clients, closed_loop_of(rate * share))
        for name, rate in {**rates, "plain": 3000.0}.items()
        for clients, share in ((1, 0.1), (64, 1.0))
    ]
