"""The front as it runs: its process, real HAProxy, and a small gateway behind it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import orjson
import pytest

from deployments.api.front_ids import HEADER
from launch.front.process import FrontProcess
from launch.front.servers import Server, publish
from launch.front.watchdog import PROCESSES
from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing: that HAProxy goes away in the middle of an answer is what is tested."""


class Gateway:
    """Answers 200 to whatever it is asked, and notes what that was."""

    def __init__(self, name: str = "one") -> None:
        self.asked: list[str] = []
        self.front_ids: list[list[str]] = []  # of each of these, what came in the front's header
        self.hangs_up = False  # on what is no GET, after all of it was read
        self.up_to_date = True
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path not in {"/-/healthz", "/-/up-to-date"}:
                    gateway.asked.append(self.path)
                    gateway.front_ids.append(self.headers.get_all(HEADER, []))
                self.rfile.read(int(self.headers.get("content-length", 0)))
                if gateway.hangs_up and self.command != "GET":
                    self.close_connection = True
                    return
                knows = gateway.up_to_date or self.path != "/-/up-to-date"
                self.send_response(200 if knows else 503)
                self.send_header("content-length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            do_POST = do_GET  # noqa: N815 - http.server asks for it by this name

            def log_message(self, *_: object) -> None:
                pass

        self._http = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.server = Server(name, f"127.0.0.1:{self._http.server_address[1]}")

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Front:
    """What a test does with a front that runs."""

    def __init__(self, folder: Path, port: int, process: FrontProcess) -> None:
        self.folder = folder
        self.port = port
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str = "/models/tail-slo") -> httpx.Response:
        with httpx.Client(verify=False, timeout=20) as client:  # noqa: S501 - it is plain HTTP
            return client.get(self.url + path)

    def haproxies(self) -> list[int]:
        return haproxies(self.folder)

    @contextmanager
    def connection(self, source: str = "127.0.0.1") -> Iterator[socket.socket]:
        client = socket.create_connection(("127.0.0.1", self.port), 20, (source, 0))
        with client:
            yield client


def haproxies(folder: Path) -> list[int]:
    """Name the HAProxy at work first, and then those that are leaving."""
    try:
        return [pid for pid, _ in orjson.loads((folder / PROCESSES).read_bytes())]
    except (FileNotFoundError, orjson.JSONDecodeError):
        return []


def eventually(what: str, holds: Callable[[], object], within_s: float = PATIENCE_SECONDS) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, f"never so: {what}"
        time.sleep(0.02)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture
def empty_front(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Front]:
    """Start a front that has heard of no gateway; one address may hold 50 connections."""
    monkeypatch.setenv("BALLAST_MAX_CONNECTIONS_PER_ADDRESS", "50")
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    folder = tmp_path_factory.mktemp("f")
    process = FrontProcess(folder, folder / "front.log")
    front = Front(folder, any_free_port(), process)
    process.start("127.0.0.1", front.port)
    try:
        eventually("HAProxy runs", front.haproxies)
        yield front
    finally:
        process.stop()


@pytest.fixture
def front(empty_front: Front, gateway: Gateway) -> Front:
    publish(empty_front.folder, [gateway.server])
    eventually("the gateway is reached", lambda: empty_front.ask().status_code == 200)
    gateway.asked.clear()
    gateway.front_ids.clear()
    return empty_front
