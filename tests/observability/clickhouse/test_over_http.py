import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import unquote_plus

import pytest

from observability.clickhouse.over_http import HttpClickhouse
from observability.errors import ClickhouseUnavailableError, QueryRejectedError
from observability.logs import set_up


def test_the_password_is_in_no_url_and_no_message(server: Any) -> None:
    wrong = server.url.replace("word", "wrong")
    with HttpClickhouse(wrong) as store, pytest.raises(QueryRejectedError) as refusal:
        store.query("SELECT 1")
    with HttpClickhouse(server.url) as store:
        store.query("SELECT 1")
    for text in (*map(unquote_plus, server.seen), str(refusal.value)):
        assert "p@ss" not in text


def test_settings_of_the_url_go_with_every_call(server: Any) -> None:
    with HttpClickhouse(f"{server.url}?database=ballast&max_threads=2") as store:
        store.query("SELECT 1")
        store.execute("SELECT 1")
    for path in server.seen:
        assert "database=ballast" in path
        assert "max_threads=2" in path


def test_a_server_that_is_not_there_is_unavailable(server: Any) -> None:
    server.stop()
    with (
        HttpClickhouse(server.url, timeout_s=1) as store,
        pytest.raises(ClickhouseUnavailableError, match="does not answer"),
    ):
        store.query("SELECT 1")


def test_something_that_is_no_clickhouse_is_unavailable() -> None:
    """A proxy's own error page, say: it names no ClickHouse code."""
    proxy = HTTPServer(("127.0.0.1", 0), Proxy)
    answering = threading.Thread(target=proxy.handle_request)
    answering.start()
    with (
        HttpClickhouse(f"http://127.0.0.1:{proxy.server_port}") as store,
        pytest.raises(ClickhouseUnavailableError, match="answered 502: no upstream"),
    ):
        store.query("SELECT 1")
    answering.join()
    proxy.server_close()


class Proxy(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b"no upstream")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_what_was_asked_is_not_logged(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    set_up()
    root.addHandler(caplog.handler)
    try:
        with HttpClickhouse(server.url) as store:
            store.query("SELECT {a:String} AS a", {"a": "private"})
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "private" not in caplog.text
