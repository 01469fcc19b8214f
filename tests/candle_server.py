"""A small upstream of market data over real HTTP, as good or bad as a test likes."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.ports import any_free_port

Candle = dict[str, Any]
_SECONDS = {"1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}


def candle(ts: float, *, traded: float = 120.0) -> Candle:
    """Give a candle that can be true; what it is made of follows from its time."""
    opened = 100.0 + ts % 7
    return {
        "ts": ts,
        "open": opened,
        "high": opened + 2,
        "low": opened - 1,
        "close": opened + 1,
        "volume": traded,
        "trades": int(traded) // 10,
    }


@dataclass
class CandleServer:
    """The candles of each symbol, and what is wrong with the server."""

    candles: dict[str, list[Candle]]
    token: str = ""
    most: int | None = None
    """More candles than these are refused with 413."""
    listed: bool = True
    status: int | None = None
    """What every question is answered with in place of candles."""
    slow_seconds: float = 0.0
    answer: Callable[[list[Candle]], bytes] = lambda rows: json.dumps({"candles": rows}).encode()
    names: tuple[str, str, str, str, str] = ("symbol", "timeframe", "from", "to", "limit")
    inclusive: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = field(default_factory=any_free_port)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.reply(self)

            def log_message(self, *_: object) -> None:
                """Keep the terminal of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        found = urlsplit(handler.path)
        asked = {name: values[0] for name, values in parse_qs(found.query).items()}
        status, body = self._found(found.path, asked, handler.headers.get("authorization", ""))
        try:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass  # the other one had enough

    def _found(self, path: str, asked: dict[str, str], key: str) -> tuple[int, bytes]:
        if self.token and key != f"Bearer {self.token}":
            return 401, b"who are you?"
        if path == "/symbols" and self.listed:
            return 200, json.dumps({"symbols": list(self.candles)}).encode()
        if path != "/candles":
            return 404, b"nothing here"
        self.asked.append(asked)
        time.sleep(self.slow_seconds)
        if self.status is not None:
            return self.status, b"as the test says"
        return self._candles(asked)

    def _candles(self, asked: dict[str, str]) -> tuple[int, bytes]:
        symbol, timeframe, start, stop, limit = (asked.get(name) for name in self.names)
        if symbol not in self.candles:
            return 404, f"no symbol {symbol}".encode()
        if timeframe is None or start is None or stop is None or limit is None:
            return 422, b"a parameter is missing"
        begin, end = float(start), float(stop)
        if self.most is not None and (end - begin) / _SECONDS[timeframe] > self.most:
            return 413, b"too many candles"
        rows = [
            each
            for each in self.candles[symbol]
            if begin <= each["ts"] < end or (self.inclusive and each["ts"] == end)
        ]
        return 200, self.answer(rows)


@contextmanager
def upstream(candles: dict[str, list[Candle]], **more: Any) -> Iterator[CandleServer]:
    server = CandleServer(candles, **more)
    server.start()
    try:
        yield server
    finally:
        server.end()
