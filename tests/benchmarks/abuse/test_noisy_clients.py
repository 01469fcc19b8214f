from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from benchmarks.abuse.noisy_clients import noise
from benchmarks.platform import Platform, eventually


class Counting(ThreadingHTTPServer):
    """Answers every second body with 200, the others with 429, and keeps what came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[str, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Counting

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((self.headers["x-api-key"], body))
        self.send_response(200 if len(self.server.came) % 2 else 429)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def counting() -> Iterator[Counting]:
    with Counting() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_bodies_are_sent_while_the_block_runs_and_the_answered_ones_count(tmp_path: Path) -> None:
    with counting() as server:
        platform = Platform(tmp_path, f"http://127.0.0.1:{server.server_port}")
        with noise(platform, "a key", "/anywhere", {"rows": [1, 2]}, 1) as came:
            eventually(lambda: len(server.came) >= 4)
        sent = len(server.came)
        assert came.answered == (sent + 1) // 2
        assert came.seconds > 0
        assert set(server.came) == {("a key", b'{"rows":[1,2]}')}
        assert len(server.came) == sent
