"""`ballast audit` where the platform runs and refuses: one sentence, not the body of an answer."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from launch import own_processes
from launch.cli import app
from launch.run_record import Run, RunRecord

FIELDS = {"path.id": "String should match a pattern"}
REFUSAL = {"error": {"code": "invalid", "message": "It does not fit", "fields": FIELDS}}


class Refusing(BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(422)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Keep the test's output to the test."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give a platform that refuses, which a run on record names."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    (tmp_path / "admin.key").write_text("a key")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        started = own_processes.started_at(os.getpid()) or 0.0
        with RunRecord(tmp_path) as record:
            record.claim()
            record.write(Run("token", os.getpid(), started, url, str(tmp_path), ""))
            yield url
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (orjson.dumps(REFUSAL), "It does not fit; path.id: String should match a pattern"),
        (b"something else stands there", "something else stands there"),
        (b'["no error"]', '["no error"]'),
    ],
)
@pytest.mark.usefixtures("url")
def test_the_reason_is_read_out_of_the_answer(
    body: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Refusing, "body", body)
    done = CliRunner().invoke(app, ["audit", "--decision", "nonsense"])
    assert done.exit_code == 1
    assert done.stderr == f"The platform refuses GET /ledger/proof/nonsense: {reason}\n"
