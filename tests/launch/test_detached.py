"""`ballast up --detach` shows how far the start is, and a Ctrl-C ends it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
UP = [sys.executable, "-m", "launch.cli", "up", "--detach"]


def detached(home: Path, port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        # What a shell runs in the background ignores Ctrl-C, and so does all that it starts.
        ["/usr/bin/env", "--default-signal=INT", *UP],
        cwd=ROOT,
        env=os.environ | {"BALLAST_HOME": str(home), "BALLAST_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_start_is_shown_as_it_goes_and_ended_by_ctrl_c(tmp_path: Path) -> None:
    start = detached(tmp_path / "home", any_free_port())
    assert start.stdout is not None
    first = start.stdout.readline()  # comes long before the platform is ready
    assert "Redis" in first
    (supervisor,) = psutil.Process(start.pid).children()
    try:
        start.send_signal(signal.SIGINT)
        said, _ = start.communicate(timeout=PATIENCE_SECONDS)
        assert start.returncode == 1
        assert "Ballast ended before it was ready." in said
        assert not supervisor.is_running()
    finally:  # a platform that goes on would take its time from every test that follows
        if supervisor.is_running():
            supervisor.terminate()
            supervisor.wait(PATIENCE_SECONDS)
    assert not (tmp_path / "home/run/run.json").exists()


def test_a_start_that_fails_says_why_and_gives_its_code(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = int(holder.getsockname()[1])
        start = detached(tmp_path / "home", port)
        said, _ = start.communicate(timeout=PATIENCE_SECONDS)
    assert start.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in said
    assert "background" not in said
