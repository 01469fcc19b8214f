"""A real ClickHouse engine, embedded and over HTTP, and a bare client of a real Redis."""

import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from redis.asyncio import Redis

from observability.clickhouse import Clickhouse
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.clickhouse.over_http import HttpClickhouse
from observability.ledger.decision import Decision, DecisionIds
from observability.schema import create_tables
from tests import waiting
from tests.redis_server import RedisServer


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with redis_server.client() as client:
        yield client


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        yield store


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    return waiting.eventually


@pytest.fixture
def decide() -> Callable[..., list[Decision]]:
    """Make n decisions, recorded as a gateway does; further fields go into every row."""
    ids = DecisionIds(time.time, os.urandom)

    def make(n: int, **fields: Any) -> list[Decision]:
        usual = {"endpoint": "/models/tail-slo", "entity": "orders", "family": "tail"}
        return [
            Decision(name, orjson.dumps({"decision_id": name, **usual, **fields}))
            for name in ids.take(n)
        ]

    return make


USER, PASSWORD = "ballast", "p@ss/word"


class Interface(BaseHTTPRequestHandler):
    """A shell around the engine, after https://clickhouse.com/docs/interfaces/http.

    A statement comes as the body, or as `query` in front of a body of data; `param_*` are bound;
    `default_format` names the answer's format; refusals name their code in a header.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine: Any
    seen: list[str]

    def do_POST(self) -> None:
        self.seen.append(self.path)
        arguments = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if (self.headers["X-ClickHouse-User"], self.headers["X-ClickHouse-Key"]) != (
            USER,
            PASSWORD,
        ):
            self._answer(403, b"Code: 516. Authentication failed", code="516")
            return
        try:
            self._answer(200, self._run(arguments, body))
        except RuntimeError as error:
            self._answer(400, str(error).encode(), code="62")

    def _run(self, arguments: dict[str, str], body: bytes) -> bytes:
        assert arguments["wait_end_of_query"] == "1"
        if "query" in arguments:
            target, given_format = arguments["query"].rsplit(" FORMAT ", 1)
            with self.engine.send_insert(target, given_format) as insert:
                insert.append(body)
                insert.finish()
            return b""
        params = {k.removeprefix("param_"): v for k, v in arguments.items() if k[:6] == "param_"}
        answer: bytes = self.engine.query(
            body.decode(), arguments["default_format"], params=params or None
        ).bytes()
        return answer

    def _body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int, body: bytes, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class Server:
    def __init__(self, engine: Any) -> None:
        self.seen: list[str] = []
        shell = type("Shell", (Interface,), {"engine": engine, "seen": self.seen})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), shell)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{USER}:p%40ss%2Fword@127.0.0.1:{self._server.server_port}/"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        yield store


@pytest.fixture
def server(embedded: EmbeddedClickhouse) -> Iterator[Server]:
    server = Server(embedded._writing)
    yield server
    server.stop()


@pytest.fixture
def over_http(server: Server) -> Iterator[HttpClickhouse]:
    with HttpClickhouse(server.url, timeout_s=5) as store:
        yield store


@pytest.fixture(params=["embedded", "over_http"])
def either(request: pytest.FixtureRequest) -> Clickhouse:
    """Each of the two, as whoever uses them sees them."""
    store: Clickhouse = request.getfixturevalue(request.param)
    return store
