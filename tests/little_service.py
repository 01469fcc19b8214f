"""A small web service as users have them: it counts and times its requests for a Prometheus.

    python -m tests.little_service PORT MILLISECONDS

Each request takes about so many milliseconds; one in fifty fails.
"""

import http.client
import random
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from prometheus_client import REGISTRY, Counter, Histogram, generate_latest

from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS

LOOPBACK = "127.0.0.1"
FAILING = 50


class LittleService:
    """One such service in a process of its own, under a load of so many requests a second."""

    def __init__(self, milliseconds: float, rate: float) -> None:
        self.port = any_free_port()
        self._milliseconds = milliseconds
        self._rate = rate
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._load = threading.Thread(target=self._ask_for_ever, daemon=True)

    def __enter__(self) -> Self:
        self._start()
        self._load.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._load.join()
        self._stop()

    def deploy(self, milliseconds: float) -> None:
        """Start it anew with another handler, as a release does."""
        self._stop()
        self._milliseconds = milliseconds
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "tests.little_service", str(self.port)]
        self._process = subprocess.Popen([*command, str(self._milliseconds)])
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._ask():
            assert time.monotonic() < deadline, "the little service did not come up"
            time.sleep(0.05)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def _ask(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/orders")
            connection.getresponse().read()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def _ask_for_ever(self) -> None:
        while not self._over.wait(random.expovariate(self._rate)):
            self._ask()


class Handler(BaseHTTPRequestHandler):
    """Answers /metrics with what was counted, and anything else after a while."""

    milliseconds = 1.0
    requests = Counter("http_requests_total", "Requests.", ["method", "status"])
    duration = Histogram("http_request_duration_seconds", "Their durations.", ["method"])

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._send(200, generate_latest(REGISTRY))
            return
        began = time.perf_counter()
        time.sleep(random.lognormvariate(0, 0.3) * self.milliseconds / 1000)
        status = 500 if random.random() * FAILING < 1 else 200  # noqa: S311 - no secret
        self.requests.labels("GET", str(status)).inc()
        self.duration.labels("GET").observe(time.perf_counter() - began)
        self._send(status, b"{}")

    def log_message(self, *_: object) -> None:
        """Keep the terminal of the tests clean."""

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port: int, milliseconds: float) -> None:
    Handler.milliseconds = milliseconds
    with ThreadingHTTPServer((LOOPBACK, port), Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
