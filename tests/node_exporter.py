"""A real node exporter, which measures the machine that the tests run on."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS

BINARY = "prometheus-node-exporter"


@contextmanager
def running() -> Iterator[int]:
    """Give the port at which it can be scraped."""
    path = shutil.which(BINARY)
    assert path, f"{BINARY} is not installed: run scripts/install-system"
    port = any_free_port()
    process = subprocess.Popen(
        [path, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_measures(process, port)
        yield port
    finally:
        process.kill()
        process.wait()


def _wait_until_it_measures(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert process.poll() is None, f"{BINARY} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{BINARY} did not come up"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
                if b"node_cpu_seconds_total" in answer.read():
                    return
        except OSError:
            time.sleep(0.05)
