"""The head node of one machine, beside another platform that has the usual ports."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
USUAL_PORT = 8265
# After this long whoever has the port will have it to the end.
SOMEBODY_ELSES_SECONDS = 30.0
# The dashboard's port is taken after the order to start was given: as by a platform that starts
# at the same time.
HEAD = """
import socket, sys
from pathlib import Path
from urllib.request import urlopen
from launch import ray_head

head = ray_head.start(Path(sys.argv[1]))
port = int(head.dashboard.rpartition(":")[2])
socket.create_connection(("127.0.0.1", port), timeout=10).close()
with urlopen(f"{head.dashboard}/api/ray/version", timeout=60) as asked_first_by_serve_deploy:
    assert asked_first_by_serve_deploy.status == 200
print(head.dashboard, *(each.name for each in head.daemons))
ray_head.stop()
"""


@pytest.fixture
def usual_port_is_taken() -> Iterator[None]:
    with socket.socket() as taken:
        # Connections of a platform that just ended keep nobody from listening.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until = time.monotonic() + SOMEBODY_ELSES_SECONDS
        while not _takes(taken) and time.monotonic() < until:
            time.sleep(0.1)
        yield


def _takes(taken: socket.socket) -> bool:
    """Take the port; where another platform has it still, it may end while the test runs."""
    try:
        taken.bind(("127.0.0.1", USUAL_PORT))
        taken.listen()
    except OSError:
        return False
    return True


@pytest.mark.usefixtures("usual_port_is_taken")
def test_a_taken_dashboard_port_keeps_no_cluster_from_starting() -> None:
    # A socket's path in tmp_path would be too long.
    with tempfile.TemporaryDirectory(prefix="bh-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [sys.executable, "-c", HEAD, folder],
            cwd=ROOT,
            env=os.environ | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    dashboard, *daemons = done.stdout.split()
    assert urlsplit(dashboard).port not in (None, USUAL_PORT)
    assert {"gcs_server", "raylet"} <= set(daemons)
