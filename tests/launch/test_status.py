"""`ballast status` beside a front door that answers."""

import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest

from launch.run_record import Run
from launch.status import lines_of
from settings.environment import Settings

STATUS = {
    "version": "1",
    "config_version": 3,
    "degraded": False,
    "degraded_reasons": [],
    "families": ["tail"],
    "demo": True,
}


class Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(orjson.dumps(STATUS))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_the_command_that_applies_an_edit_names_the_file_that_was_given(
    url: str, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    settings.paths.key_file.parent.mkdir(parents=True, exist_ok=True)
    settings.paths.key_file.write_text("a key")
    run = Run("token", 4711, 12.0, url, "/scratch", "http://127.0.0.1:8265", ready=True)
    other = dataclasses.replace(run, config_file="/etc/my other.yaml")
    said = "\n".join((await lines_of(settings, other, 0.0)).lines)
    assert "serve deploy '/etc/my other.yaml' -a http://127.0.0.1:8265" in said
    assert "serve_config.yaml" not in said
    assert "`ballast connect` brings yours" in said
