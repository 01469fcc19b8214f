"""`ballast status` beside a platform that answers."""

import dataclasses
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import orjson
import pytest

from deployments.runtime.platform_health import (
    PlatformHealth,
    RunningTraining,
    TrainingHealth,
    Untrained,
    health_name,
)
from launch.run_record import Run
from launch.status import lines_of
from settings.environment import Settings
from settings.redis_connection import open_redis
from tests.redis_server import RedisServer

STATUS = {
    "version": "1",
    "config_version": 3,
    "degraded": False,
    "degraded_reasons": [],
    "families": ["tail"],
    "demo": True,
}


class Platform(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(orjson.dumps(STATUS))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Platform) as server:
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


async def test_a_training_that_runs_and_what_is_missing_are_shown(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    settings = Settings(home=tmp_path)
    training = TrainingHealth(
        running=RunningTraining(
            title="the forecasters",
            models=["forecasting/tft"],
            since=1000.0,
            share=0.25,
            step="TFT",
        ),
        untrained=[
            Untrained(
                model="tail/xgboost-quantile", missing="28 min more", until_then="rules answer"
            )
        ],
    )
    health = PlatformHealth(written=1090.0, state="ready", training=training)
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    await redis.set(health_name(redis), health.model_dump_json())
    run = Run("token", 4711, 12.0, "http://127.0.0.1:1", "/scratch", "", ready=False)
    lines = (await lines_of(settings, run, 1091.0)).lines
    await redis.delete(health_name(redis))
    await redis.aclose()
    assert "training the forecasters: 25%, TFT, 91 s so far" in lines
    assert "         not yet tail/xgboost-quantile: 28 min more; until then rules answer" in lines
