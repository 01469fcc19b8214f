"""What operators do: scale by the file, look, start twice, stop, start again."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from deployments.launch import own_processes
from deployments.launch.supervisor import is_free
from tests.live.conftest import (
    BALLAST,
    PATIENCE_SECONDS,
    ROOT,
    Live,
    Platform,
    answer_of,
    cmdline,
    eventually,
)

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]


def test_starting_twice_says_so(live: Live) -> None:
    again = live.command("up")
    assert again.returncode == 1
    assert re.search(rf"runs already.*{live.run.pid}.*ballast down", again.stderr)


def test_status_tells_what_runs(live: Live) -> None:
    shown = live.command("status")
    assert shown.returncode == 0
    assert "ready" in shown.stdout
    assert "tail" in shown.stdout


def test_a_taken_port_is_one_sentence(live: Live, tmp_path: Path) -> None:
    taken = subprocess.run(
        [str(BALLAST), "up"],
        cwd=ROOT,
        env=Platform(tmp_path / "other", live.url).environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert taken.returncode == 1
    assert "is taken by another program" in taken.stderr
    assert "BALLAST_PORT" in taken.stderr
    assert "Traceback" not in taken.stderr


def test_an_operator_scales_by_editing_the_file(live: Live, tmp_path: Path) -> None:
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = int(live.url.rpartition(":")[2])
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] == "features":
            deployment["num_replicas"] = 2
    edited = tmp_path / "serve_config.yaml"
    edited.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [str(ROOT / ".venv/bin/serve"), "deploy", str(edited), "-a", live.run.dashboard],
        cwd=ROOT,
        env=os.environ | {"RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    title = "ServeReplica:ballast:features"
    with live.client() as client:
        eventually(lambda: len(live.pids(title)) == 2)
        assert answer_of(client, {"load": 0.5})["meta"]["degraded"] is False


def test_replicas_are_forked_and_without_the_zygote_they_start_as_ray_starts_them(
    live: Live,
) -> None:
    title = "ServeReplica:ballast:safety"
    (first,) = live.pids(title)
    zygote = parent_of(first)
    assert "deployments.launch.zygote" in cmdline(zygote)
    os.kill(zygote, signal.SIGKILL)
    with live.client() as client:
        assert answer_of(client, {"load": 0.5})["meta"]["degraded"] is False
        os.kill(first, signal.SIGKILL)
        eventually(lambda: bool(set(live.pids(title)) - {first}))
        answer_of(client, {"load": 0.5})
    (second,) = set(live.pids(title)) - {first}
    assert parent_of(second) not in (zygote, 1)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_down_leaves_nothing_behind(live: Live) -> None:
    run = live.run
    done = live.command("down")
    assert done.returncode == 0, done.stderr
    assert "killed" not in done.stdout
    gone(live, run.token, run.scratch)


def test_ctrl_c_twice_breaks_off_a_start_and_leaves_nothing(live: Live) -> None:
    process = started(live)
    assert process.stdout is not None
    for line in process.stdout:
        if "Configuration and keys" in line:
            break
    run = live.run
    for _ in range(2):
        time.sleep(1)  # somewhere in the start of Ray
        os.killpg(process.pid, signal.SIGINT)
    with process.stdout:
        rest = process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 1, rest
    assert "Ended before it was ready" in rest
    assert "Traceback" not in rest
    gone(live, run.token, run.scratch)


def started(live: Live) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BALLAST), "up"],
        cwd=ROOT,
        env=live.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_second_start_is_quick_and_ctrl_c_ends_all_of_it(live: Live) -> None:
    begun = time.monotonic()
    process = started(live)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C ends it" in line:
            break
    took = time.monotonic() - begun
    print(f"second start: {took:.1f} s; the first took {live.started_in:.1f} s")  # noqa: T201 - the figures are the point
    assert process.poll() is None, "".join(said)
    with live.client() as client:
        assert answer_of(client, {"load": 0.5})["data"]["p99_pred"] > 0
    run = live.run
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does it: to the whole group
    with process.stdout:
        rest = process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 0, rest
    assert "raylet" not in "".join(said) + rest  # what Ray's daemons report goes to a file
    gone(live, run.token, run.scratch)
    assert took < live.started_in  # nothing is trained, nothing filled


def gone(live: Live, token: str, scratch: str) -> None:
    assert own_processes.marked(token) == []
    assert is_free("127.0.0.1", int(live.url.rpartition(":")[2]))
    assert not Path(scratch).exists()
    assert not (live.home / "run" / "lock").exists()
    assert not (live.home / "run" / "run.json").exists()
    assert not Path(live.redis).exists()
