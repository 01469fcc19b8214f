"""A ClickHouse server for tests: the real engine (chDB) in a process of its own, over HTTP.

A process has one folder of the engine open, so that a test with a store of its own cannot have
this one as well. Settings hold for one question, as a server's do; so does the user's profile.
"""

import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.ports import any_free_port

ROOT = Path(__file__).parents[1]
# What a server takes that is no setting: https://clickhouse.com/docs/interfaces/http
_NO_SETTINGS = {"query", "default_format", "wait_end_of_query", "database"}
# Settings that a server has and the embedded engine does not speak of.
_OF_SERVERS = {"cancel_http_readonly_queries_on_client_close"}
# By each user: the password, and the `readonly` of the profile.
USERS = {
    "default": ("", 0),
    "reader": ("p@ss/word", 0),
    "strict": ("strict", 1),
    "settling": ("settling", 2),
}


class ClickhouseServer:
    """One server on a port that stays, with the data of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = any_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", __name__, str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def run(self, sql: str) -> str:
        """Run a statement as the user who may do everything; gives what it answers as CSV."""
        request = urllib.request.Request(  # noqa: S310 - our own
            f"{self.url}/?default_format=CSV", data=sql.encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def asked(self) -> list[str]:
        """Give the address of each question since the last call, and its SQL."""
        with urllib.request.urlopen(f"{self.url}/asked") as answer:  # noqa: S310 - our own
            return [each for each in answer.read().decode().split("\0") if each]


@contextmanager
def running_clickhouse(*statements: str) -> Iterator[ClickhouseServer]:
    with tempfile.TemporaryDirectory(prefix="clickhouse-") as folder:
        server = ClickhouseServer(Path(folder))
        server.start()
        try:
            for each in statements:
                server.run(each)
            yield server
        finally:
            server.end()


class _Shell(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    session: Any
    seen: list[str]

    def do_GET(self) -> None:
        said = "\0".join(self.seen)
        self.seen.clear()
        self._answer(200, said.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.append(f"{self.path}\n{body}")
        user = self.headers.get("X-ClickHouse-User", "default")
        password, readonly = USERS.get(user, (None, 0))
        if self.headers.get("X-ClickHouse-Key", "") != password:
            message = f"Code: 516. DB::Exception: {user}: Authentication failed: password is "
            self._answer(403, f"{message}incorrect. (AUTHENTICATION_FAILED)".encode(), "516")
            return
        try:
            self._answer(200, self._run(body, readonly))
        except Exception as error:  # noqa: BLE001 - whatever the engine says is the answer
            text = str(error)
            code = text.partition("Code: ")[2].partition(".")[0]
            self._answer(500 if code in ("159", "241") else 400, text.encode(), code)

    def _run(self, sql: str, readonly: int) -> bytes:
        fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        params = {name[6:]: text for name, text in fields.items() if name.startswith("param_")}
        settings = {
            name: text
            for name, text in fields.items()
            if name not in _NO_SETTINGS | _OF_SERVERS and not name.startswith("param_")
        }
        with self.session() as session:
            if "database" in fields:
                session.query(f"USE `{fields['database']}`")
            if readonly:
                session.query(f"SET readonly = {readonly}")
            if settings:
                told = ", ".join(f"{name} = '{text}'" for name, text in settings.items())
                session.query(f"SET {told}")
            answer: bytes = session.query(
                sql, fields.get("default_format", "TabSeparated"), params=params or None
            ).bytes()
            return answer

    def _answer(self, status: int, body: bytes, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        with suppress(BrokenPipeError):  # who asked had enough
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _serve(folder: str, port: int) -> None:
    from chdb.session import Session  # noqa: PLC0415 - the test's own process needs none

    opened: Any = Session  # it carries no types
    kept = opened(folder)  # the engine stays while one is open

    @contextmanager
    def session() -> Iterator[Any]:
        mine = opened(folder)
        try:
            yield mine
        finally:
            mine.close()

    kept.query("SELECT 1")
    shell = type("Shell", (_Shell,), {"session": staticmethod(session), "seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", port), shell)
    os.write(1, b"ready\n")
    server.serve_forever()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
