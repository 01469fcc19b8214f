"""cluster.yaml: its commands are generated, and a real shell runs those that need no cloud.

What only Amazon or a cluster of Ray's can show is left out: mounts, installation, `ray start`.
"""

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import Role
from config_store.document import BanditsConfig
from config_store.shipped import default_document
from config_store.store import ConfigStore
from launch import cluster_file
from launch.bootstrap import read_secret
from launch.private_files import OTHERS
from launch.ray_variables import AT_START, BEFORE_RAY, on_a_cluster
from tests.deploying import deployed
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster.yaml"
CLOSED_PORT = "127.0.0.1:9"


def content() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
    return loaded


def commands() -> Iterator[str]:
    for name, each in content().items():
        if name.endswith("_commands"):
            yield from each


def as_ray_runs_it(command: str) -> str:
    """Give the script that Ray hands to bash on a node (its command_runner)."""
    return f"source ~/.bashrc; export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore && ({command})"


def bash(script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", *options, "-c", script],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        start_new_session=True,  # an interactive shell would take the terminal
    )


def grammar(script: str) -> str:
    """Give what bash finds wrong with a script that it does not run."""
    return bash(script, "-n").stderr


@pytest.fixture
def node(tmp_path: Path, redis_server: RedisServer) -> Path:
    """Make the home folder of a node as Ray and `scripts/install` leave it, and its environment."""
    (tmp_path / ".bashrc").touch()
    (tmp_path / "ballast").mkdir()
    (tmp_path / "ballast" / ".venv").symlink_to(sys.prefix)
    (tmp_path / "ballast.env").write_text(
        f"REDIS_URL={redis_server.url}\nRAY_AUTH_TOKEN={'0123456789abcdef' * 4}\n"
        f"PYTHONPATH={ROOT}\nBALLAST_HISTORY_DAYS=1\nMODELS_SHARE='a&b c'\n"
    )
    done = on(tmp_path, the("environment.sh <<"))
    assert done.returncode == 0, done.stderr
    return tmp_path


def on(node: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return bash(as_ray_runs_it(command), "--login", "-i", HOME=str(node), **variables)


def the(words: str) -> str:
    """Find the one command that holds these words."""
    (found,) = {each for each in commands() if words in each}
    return found


def test_the_committed_commands_are_the_generated_ones() -> None:
    committed = CLUSTER.read_text()
    assert committed == cluster_file.renewed(committed), "run `make generate`"


def test_a_file_without_the_mark_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="make generate"):
        cluster_file.renewed("cluster_name: mine\n")


def test_every_command_is_grammatical() -> None:
    wrong = {each: grammar(as_ray_runs_it(each)) for each in commands()}
    assert len(wrong) >= 10
    assert {each: found for each, found in wrong.items() if found} == {}
    assert "syntax error" in grammar(as_ray_runs_it("ray start && { ulimit -n 1;"))


def test_a_node_finds_every_variable(node: Path) -> None:
    done = on(node, ". ~/ballast/environment.sh && env -0")
    assert done.returncode == 0, done.stderr
    found = dict(each.split("=", 1) for each in done.stdout.split("\0") if "=" in each)
    for each in on_a_cluster((*BEFORE_RAY, *AT_START)):
        assert found[each.name] == str(each.cluster).replace("$HOME", str(node))
    assert found["MODELS_SHARE"] == "a&b c"


def test_what_a_node_writes_is_closed_to_its_other_users(node: Path) -> None:
    (node / ".ballast").mkdir(mode=0o755)  # by an earlier release
    written = ". ~/ballast/environment.sh && mkdir ~/.ballast/spool && touch ~/.ballast/spool/one"
    for command in (the("mkdir -p ~/.ballast/models"), f"umask 022; {written}"):
        done = on(node, command)
        assert done.returncode == 0, done.stderr
    for path in (".ballast", ".ballast/spool", ".ballast/spool/one"):
        assert (node / path).stat().st_mode & OTHERS == 0, path


def test_what_holds_on_one_machine_alone_is_not_set_on_a_node(node: Path) -> None:
    said = (node / "ballast" / "environment.sh").read_text()
    alone = [each.name for each in (*BEFORE_RAY, *AT_START) if each.cluster is None]
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" in alone
    assert [name for name in alone if f"{name}=" in said] == []


async def test_the_bootstrap_line_makes_a_configuration_and_a_key(node: Path, redis: Redis) -> None:
    """It goes as far as a machine without a Ray cluster allows, and says what is missing there."""
    done = on(node, the("ballast bootstrap"), RAY_ADDRESS=CLOSED_PORT)
    assert (await ConfigStore(redis).active()).document == default_document()
    key = read_secret(node / ".ballast" / "admin.key")
    assert key is not None
    principal = (await KeyStore(redis).ring()).verify(key.encode())
    assert principal is not None
    assert principal.role is Role.ADMIN
    assert done.returncode == 1
    assert f"No Ray cluster answers at {CLOSED_PORT}" in done.stderr
    assert "Error" not in done.stderr


async def test_a_second_bootstrap_leaves_what_is_there(node: Path, redis: Redis) -> None:
    store = ConfigStore(redis)
    on(node, the("ballast bootstrap"), RAY_ADDRESS=CLOSED_PORT)
    key = read_secret(node / ".ballast" / "admin.key")
    changed = default_document().model_copy(update={"bandits": BanditsConfig(canary_cap=0.05)})
    await deployed(redis, changed)
    on(node, the("ballast bootstrap"), RAY_ADDRESS=CLOSED_PORT)
    assert read_secret(node / ".ballast" / "admin.key") == key
    assert (await store.active()).number == 2


def test_bootstrap_needs_a_redis_of_all_nodes(node: Path) -> None:
    done = on(node, f"sed -i /REDIS_URL/d ~/ballast.env && {the('ballast bootstrap')}")
    assert done.returncode == 1
    assert "REDIS_URL is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_front_is_started_as_on_one_machine() -> None:
    words = shlex.split(the("setsid"))
    module = words[words.index("-m", words.index("setsid")) + 1]
    assert subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, check=True)


def test_every_package_is_copied_to_the_nodes() -> None:
    mounts = content()["file_mounts"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {each.rstrip("*") for each in packages} <= set(mounts.values())
    there = [ROOT / each for each in mounts.values() if each != "cluster.env"]
    assert [each for each in there if not each.exists()] == []
