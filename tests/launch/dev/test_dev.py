"""`make dev`, as it is started, on a copy of the sources that a test may change."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from deployments.api.shipped import FAMILIES
from launch import own_processes
from launch.dev.run import ROOMS
from launch.run_record import Run, RunRecord
from models.model_version import ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION
from models.tail.xgboost_quantile import TailModel
from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]
# Where the copy has no compiled kernels yet, a busy machine takes minutes over them.
LIMIT_SECONDS = 900

Found = TypeVar("Found")


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Copy the rooms, with their compiled kernels: a file's time is part of their names."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / "copy" / room)
    return tmp_path / "copy"


@pytest.fixture
def home(tmp_path: Path, tail_model: TailModel) -> Path:
    models = tmp_path / "home" / "models"
    folder = models / folder_name(TailModel.name) / "1.0.0"
    tail_model.save(folder)
    made = datetime(2026, 3, 2, tzinfo=UTC)
    write_pointer(models, CHAMPION, ModelVersion(TailModel.name, "1.0.0", folder, made))
    return tmp_path / "home"


class Dev:
    """One `make dev`, and a client of it."""

    def __init__(self, sources: Path, home: Path, output: Path, profile: str) -> None:
        self.home, self.port, self.output = home, any_free_port(), output
        self.profile = profile
        settings = {
            "BALLAST_HOME": str(home),
            "BALLAST_PORT": str(self.port),
            "BALLAST_PROFILE": profile,
        }
        inherited = {name: each for name, each in os.environ.items() if name != "REDIS_URL"}
        with output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launch.dev"],
                cwd=sources,
                env=inherited | settings | {"PYTHONPATH": str(sources)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.run: Run = self.until(RunRecord(home).read)

    def until(self, found: Callable[[], Found | None]) -> Found:
        deadline = time.monotonic() + LIMIT_SECONDS
        while (it := found()) is None:
            assert time.monotonic() < deadline, self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.05)
        return it

    def client(self) -> httpx.Client:
        key = self.until(lambda: self._key() or None)
        limits = httpx.Limits(max_keepalive_connections=0)  # each request finds who serves now
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"X-API-Key": key},
            timeout=PATIENCE_SECONDS,
            limits=limits,
        )

    def _key(self) -> str:
        file = self.home / "admin.key"
        return file.read_text().strip() if file.exists() else ""

    def answer(self, client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask until it is answered: a stage that begins has the client come again."""

        def answered() -> dict[str, Any] | None:
            found = client.post(path, json=body)
            if found.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                return None
            assert found.status_code == httpx.codes.OK, found.text
            answer: dict[str, Any] = found.json()
            return answer

        return self.until(answered)


@pytest.fixture
def dev(sources: Path, home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dev]:
    dev = Dev(sources, home, tmp_path / "output", profile=request.param)
    yield dev
    if dev.process.poll() is None:
        dev.process.kill()
        dev.process.wait()
    own_processes.end(dev.run.token, patience_s=5)


@pytest.mark.timeout(LIMIT_SECONDS)
@pytest.mark.parametrize("dev", ["fast", "plain"], indirect=True)
def test_it_answers_follows_the_sources_and_leaves_nothing(dev: Dev, sources: Path) -> None:
    with dev.client() as client:
        _ask_each_endpoint(dev, client)
        _no_process_has_loaded_ray(dev)
        if dev.profile == "fast":  # following the sources is the same in both, and takes a while
            _change_a_source(dev, client, sources)
    _interrupt(dev)


def _ask_each_endpoint(dev: Dev, client: httpx.Client) -> None:
    decision, trial = "", 0
    for name, family in FAMILIES.items():
        examples = family.body.model_json_schema()["examples"]
        # A series that is named by its metric is the history's, which is not there.
        body: dict[str, Any] = next(each for each in examples if "metric" not in each)
        if name == "extremes":  # its example has too few values for the usual threshold
            body |= {"threshold_quantile": 0.8}
        if name == "bandit-feedback":
            body |= {"decision_id": decision}
        if name == "bayes-opt-tell":
            body |= {"trial_id": trial}
        answer = dev.answer(client, family.path, body)
        if name == "tail":
            assert answer["meta"]["model_version"] == "1.0.0"
        if name == "bandit":
            decision = answer["meta"]["decision_id"]
        if name == "bayes-opt":
            trial = answer["data"]["trial_id"]


def _no_process_has_loaded_ray(dev: Dev) -> None:
    processes = own_processes.marked(dev.run.token)
    assert processes
    for process in processes:
        assert "_raylet" not in Path(f"/proc/{process}/maps").read_text()


def _change_a_source(dev: Dev, client: httpx.Client, sources: Path) -> None:
    """Meanwhile every request is answered: by the old process, or, having waited, by the new."""
    platform = sources / "deployments/gateway/routes/platform.py"
    changed = platform.read_text().replace('name="Ballast"', 'name="Ballast, changed"')
    assert client.get("/").json()["name"] == "Ballast"
    platform.write_text(changed)
    dev.until(lambda: client.get("/").json()["name"] == "Ballast, changed" or None)
    assert "Changed: deployments/gateway/routes/platform.py" in dev.output.read_text()


def _interrupt(dev: Dev) -> None:
    assert own_processes.marked(dev.run.token) != []
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(PATIENCE_SECONDS) == 0, dev.output.read_text()
    assert own_processes.marked(dev.run.token) == []
    assert RunRecord(dev.home).read() is None
    with socket.create_server(("127.0.0.1", dev.port)):
        pass  # nobody has the port
    assert not list((dev.home / "redis").glob("*.sock"))


def test_a_port_that_is_taken_is_said_in_a_sentence(sources: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "launch.dev"],
            cwd=sources,
            env=os.environ | {"BALLAST_HOME": str(tmp_path / "home"), "BALLAST_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} on 127.0.0.1 is taken")
