"""A real prometheus for tests, with what it scrapes, or a past that the test chose."""

import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS

# It scrapes nothing: what it knows was written to it.
NOTHING_TO_SCRAPE = "global: {scrape_interval: 15s}\n"


class PrometheusServer:
    """One prometheus on a free port, with the data of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = any_free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def give_past(self, openmetrics: str) -> None:
        """Write samples with their times as blocks; before it starts, or its next start."""
        text = self.folder / "past.om"
        text.write_text(f"{openmetrics}# EOF\n")
        command = (
            _binary("promtool"),
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            text,
            self._data,
        )
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stderr

    def start(self, config: str = NOTHING_TO_SCRAPE, *options: str) -> None:
        """Start it; ITSELF in the configuration stands for where it listens."""
        file = self.folder / "prometheus.yml"
        file.write_text(config.replace("ITSELF", f"127.0.0.1:{self.port}"))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    _binary("prometheus"),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self._data}",
                    "--storage.tsdb.retention.time=20y",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--enable-feature=native-histograms",
                    "--web.enable-remote-write-receiver",
                    *options,
                ],
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready()

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_ready():
            log = (self.folder / "log").read_text()
            assert self.process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1.0) as answer:  # noqa: S310 - our own
                return bool(answer.status == 200)
        except OSError:
            return False


def samples(series: str, at: Iterable[float], values: Iterable[float]) -> str:
    """Write samples of one series, such as `up{job="a"}`, as OpenMetrics."""
    return "".join(f"{series} {value} {time}\n" for time, value in zip(at, values, strict=True))


def _binary(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is not installed: run scripts/install-system"
    return path


@contextmanager
def running(
    past: str | None = None, config: str = NOTHING_TO_SCRAPE, *options: str
) -> Iterator[PrometheusServer]:
    folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
    server = PrometheusServer(folder)
    try:
        if past is not None:
            server.give_past(past)
        server.start(config, *options)
        yield server
    finally:
        server.end()
        shutil.rmtree(folder)
