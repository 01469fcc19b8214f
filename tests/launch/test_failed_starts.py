"""`ballast up` that cannot start says one sentence, with what to do; details lie in a file."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.errors import PortTakenError
from launch.front.listening import listen, open_port
from tests.ports import any_free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield int(holder.getsockname()[1])


def failed_start(home: Path, config: str | None = None, **variables: str) -> str:
    """Give the one sentence that a start that must fail says on the error stream."""
    said = all_said(home, config, **variables)
    assert len(said) == 1, said
    return said[0]


def all_said(home: Path, config: str | None = None, **variables: str) -> list[str]:
    given = (
        os.environ | {"BALLAST_HOME": str(home), "BALLAST_PORT": str(any_free_port())} | variables
    )
    arguments = ["--config", config] if config else []
    done = subprocess.run(
        [sys.executable, "-m", "launch.cli", "up", *arguments],
        cwd=ROOT,
        env=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return [line for line in done.stderr.splitlines() if not line.startswith(("✓", "  "))]


def test_a_taken_port(tmp_path: Path, taken_port: int) -> None:
    said = failed_start(tmp_path / "home", BALLAST_PORT=str(taken_port))
    assert "is taken by another program" in said
    assert "BALLAST_PORT" in said


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.7"])
def test_an_address_that_is_not_this_machines(tmp_path: Path, host: str) -> None:
    said = failed_start(tmp_path / "home", BALLAST_HOST=host)
    assert f"BALLAST_HOST {host} is not an address of this machine" in said


def test_an_older_name_of_host_and_port_is_taken_and_said(tmp_path: Path, taken_port: int) -> None:
    older = {"API_HOST": "127.0.0.1", "API_PORT": str(taken_port)}
    *warnings, said = all_said(tmp_path / "home", BALLAST_HOST="", BALLAST_PORT="", **older)
    assert f"Port {taken_port} on 127.0.0.1 is taken by another program" in said
    assert [each.partition(". ")[0] for each in warnings] == [
        "API_HOST: an older name, used as BALLAST_HOST",
        "API_PORT: an older name, used as BALLAST_PORT",
    ]


def test_our_own_name_wins_over_an_older_one(tmp_path: Path) -> None:
    older = {"API_HOST": "127.0.0.1", "BALLAST_HOST": "192.0.2.7"}
    warning, said = all_said(tmp_path / "home", **older)
    assert "BALLAST_HOST 192.0.2.7 is not an address of this machine" in said
    assert warning == "API_HOST: ignored, because BALLAST_HOST is set."


def test_a_port_on_an_address_of_ipv6_is_tried_as_it_will_be_opened() -> None:
    port = any_free_port()
    open_port("::1", port).close()
    with listen("::1", port), pytest.raises(PortTakenError):
        open_port("::1", port).close()


def test_a_home_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "BALLAST_HOME" in failed_start(tmp_path / "file" / "home")
    assert "BALLAST_HOME" in failed_start(tmp_path / "file")


def test_a_home_where_no_folder_can_be_made() -> None:
    said = failed_start(Path("/proc/nothing"))
    assert said.startswith("Nothing can be written at /proc/nothing: ")
    assert "BALLAST_HOME" in said


@pytest.mark.parametrize(
    "url", ["redis://ada:pass-word@127.0.0.1:1/0", "redis://ada:pass-word@127.0.0.1:port"]
)
def test_a_redis_that_is_not_there(tmp_path: Path, url: str) -> None:
    said = failed_start(tmp_path / "home", REDIS_URL=url)
    assert "REDIS_URL" in said
    assert "pass-word" not in said
    assert "Traceback" in (tmp_path / "home" / "logs" / "failure.log").read_text()


def test_a_clickhouse_that_is_not_there(tmp_path: Path) -> None:
    url = f"http://ada:pass-word@127.0.0.1:{any_free_port()}"
    *steps, said = all_said(tmp_path / "home", CLICKHOUSE_URL=url)
    assert "The ClickHouse that CLICKHOUSE_URL names cannot be used" in said
    assert "pass-word" not in said
    assert not [each for each in steps if "Ray" in each]


def test_damaged_files_of_redis(tmp_path: Path) -> None:
    files = tmp_path / "home" / "redis"
    files.mkdir(parents=True)
    (files / "appendonly.aof").write_bytes(b"this is no log of commands")
    said = failed_start(tmp_path / "home")
    assert "embedded Redis" in said
    assert "redis.log" in said
    assert "append only file" in said


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "serve_config.yaml"
    assert "is missing" in failed_start(tmp_path / "home", str(broken))
    broken.write_text("applications: [")
    assert "serve_config.yaml" in failed_start(tmp_path / "home", str(broken))
    broken.write_text("just a sentence")
    assert "serve_config.yaml" in failed_start(tmp_path / "home", str(broken))
    broken.write_text(
        "applications: [{import_path: x, deployments: [{name: a, num_replicas: two}]}]"
    )
    said = failed_start(tmp_path / "home", str(broken))
    assert f"{broken} cannot be used: deployment a: num_replicas is 'two'" in said


def test_an_application_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("applications: [{name: ours, import_path: 'deployments.apps:app'}]")
    said = failed_start(tmp_path / "home", str(other))
    assert f"{other} cannot be used: application ours: import_path 'deployments.apps:app'" in said
    assert said.endswith("there is no module deployments.apps.")


def test_a_file_that_asks_for_too_much_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    asked = "{name: tail, ray_actor_options: {num_cpus: 4096}}"
    other.write_text(
        "applications: [{name: ours, import_path: 'deployments.app:app', "
        f"deployments: [{asked}]}}]"
    )
    said = failed_start(tmp_path / "home", str(other))
    assert "tail asks for 4096 CPUs" in said
    assert said.endswith(f"in {other}.")
