"""`ballast audit` where the platform runs: how far it is, as the platform says it."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.api.audit import AuditShown
from launch import own_processes
from launch.cli import app
from launch.run_record import Run, RunRecord


class InferenceIngress(BaseHTTPRequestHandler):
    """Has an audit that was only just begun when it is asked for, and done at the next look."""

    def do_POST(self) -> None:
        self._answer(AuditShown(state="running", asked_at=1.0))

    def do_GET(self) -> None:
        self._answer(AuditShown(state="done", asked_at=1.0, ended_at=2.0, whole=True))

    def _answer(self, audit: AuditShown) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(audit.model_dump_json().encode())

    def log_message(self, *_: object) -> None:
        """Keep the test's output to the test."""


def test_no_share_is_given_before_the_entries_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    (tmp_path / "admin.key").write_text("a key")
    started = own_processes.started_at(os.getpid()) or 0.0
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), InferenceIngress) as server,
        RunRecord(tmp_path) as record,
    ):
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        record.claim()
        record.write(Run("token", os.getpid(), started, url, str(tmp_path), ""))
        done = CliRunner().invoke(app, ["audit"])
        server.shutdown()
    assert done.exit_code == 0, done.output
    assert "Reading the ledger" in done.stderr
    assert "0 of 0" not in done.stderr
