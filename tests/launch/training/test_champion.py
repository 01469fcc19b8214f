"""What a training leaves behind, however it ends, and that it is on the timeline."""

import asyncio
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launch.training.champion import note_trained
from models.model_version import ModelVersion
from observability.timeline.event import Event, read_event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from settings.redis_connection import open_redis
from tests.redis_server import RedisServer

VERSION = ModelVersion("tail/slo", "1.1.0", Path("none"), datetime(2026, 3, 2, tzinfo=UTC))

# Dies as Ctrl-C, and a supervisor that has waited long enough, end it: while a model is saved.
_KILLED = """
import os, sys
from pathlib import Path
from launch.training.champion import make_champion
from models.registry import Registry

home, scratch = Path(sys.argv[1]), Path(sys.argv[2])

def save(folder):
    (folder / "half").touch()
    os.kill(os.getpid(), int(sys.argv[3]))

registry = Registry(f"sqlite:///{home}/mlflow.db", home / "models")
make_champion(registry, scratch, "tail/slo", save, {}, made_up=False)
"""


def test_one_that_is_killed_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    for folder in (home, scratch):
        folder.mkdir()
    for number in (signal.SIGTERM, signal.SIGKILL):
        command = [sys.executable, "-c", _KILLED, str(home), str(scratch), str(number.value)]
        assert subprocess.run(command, check=False).returncode == -number
    assert list(home.iterdir()) == []
    assert len(list(scratch.iterdir())) == 2  # they go with the run


def noted(url: str) -> list[Event]:
    async def read() -> list[Event]:
        async with open_redis(url) as redis:
            return [read_event(each.data) for each in await TimelineStream(redis).read(10)]

    return asyncio.run(read())


def test_it_is_noted_once(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    note_trained(Settings(), VERSION)
    (event,) = noted(redis_server.url)
    assert event.summary == "The model tail/slo was trained; its new version is 1.1.0"


def test_without_redis_nothing_is_noted_and_nothing_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path}/nobody.sock")
    note_trained(Settings(), VERSION)
