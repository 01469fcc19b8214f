"""`ballast connect remote-write`: what is proposed, and a real Prometheus that sends as told."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.sources import RemoteWriteSource, SourceConfig
from config_store.store import ConfigStore
from features.sources.remote_write.compression import unpack
from features.sources.remote_write.needed import Needed, Series, identity_of
from features.sources.remote_write.samples import Samples, encode
from features.sources.remote_write.stream import SampleStream
from features.sources.rules import Gauge, Mapping, Rate, Selector
from launch import own_processes
from launch.cli import app
from launch.run_record import Run, RunRecord
from launch.sources.checking_writes import check_writes
from settings.environment import Settings
from tests.features.sources.remote_write.messages import V1
from tests.prometheus_server import running
from tests.scraped import Scraped, counter, gauge, histogram, openmetrics
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("settings")

PAGE = Path(__file__).parents[3] / "docs/sources/remote-write.md"
NOW = int(time.time()) // 60 * 60
MAPPING = Mapping(
    entity="job",
    metrics={
        "request_rate": Rate(of=Selector(name="http_requests_total")),
        "queue_depth": Gauge(of=Selector(name="queue_depth")),
    },
)


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, ["connect", *words]))


async def sources(redis: Redis) -> dict[str, SourceConfig]:
    return (await ConfigStore(redis).active()).document.sources.named


def shop() -> Iterator[Scraped]:
    for job, rate in (("orders", 10.0), ("search", 4.0)):
        yield counter("http_requests_total", rate * 0.9, job=job, status="200")
        yield counter("http_requests_total", rate * 0.1, job=job, status="500")
        yield from histogram("http_request_duration_seconds", rate, {"job": job})
        yield counter("process_cpu_seconds_total", 0.2, job=job)
        yield gauge("process_start_time_seconds", NOW - 9000, job=job)


@pytest.fixture(scope="module")
def looked_at() -> Iterator[str]:
    # It reaches ahead: on a slow machine the suite comes here long after it was collected.
    past = openmetrics(shop(), NOW + 7200, seconds=8100)
    with running(past) as server:
        yield server.url


class Platform(BaseHTTPRequestHandler):
    """The platform as a sender sees it, and a target to scrape."""

    written: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        for name in ("http_requests_total", "queue_depth", "unneeded_total"):
            self.wfile.write(f"{name} {time.time()}\n".encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.written.append((self.path, self.headers["authorization"], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def platform() -> Iterator[int]:
    Platform.written.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


async def test_what_a_receiver_can_evaluate_is_proposed_and_connected(
    redis: Redis, looked_at: str
) -> None:
    words = ["remote-write", "edge", "--look-at", looked_at, "--edition", "2"]
    dry = await invoke(*words, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert await redis.get(ConfigStore(redis).active_key) is None
    unsaid = await invoke(*words)
    assert unsaid.exit_code == 1
    assert "again with --yes" in unsaid.output

    done = await invoke(*words, "--yes")
    assert done.exit_code == 0, done.output
    assert "measures 2 services, named by the label job: orders, search" in done.output
    assert "url: http://127.0.0.1:8000/api/v1/write?source=edge" in done.output
    assert "127.0.0.1 is known on this machine only" in done.output
    assert (
        "regex: http_request_duration_seconds_bucket|http_requests_total|"
        "process_start_time_seconds\n" in done.output
    )
    assert "edge is connected" in done.output
    source = (await sources(redis))["edge"]
    assert isinstance(source, RemoteWriteSource)
    assert source.prometheus == 2
    assert {"request_rate", "error_rate", "p99_ms", "active_workers"} <= set(source.mapping.metrics)
    assert {rule.kind for rule in source.mapping.metrics.values()} >= {"rate", "ratio", "quantile"}
    assert "cpu" not in source.mapping.metrics  # there it takes PromQL
    again = await invoke(*words, "--yes")
    assert again.exit_code == 1
    assert "samples written to /api/v1/write" in again.output


async def test_a_prometheus_that_is_told_so_sends_what_the_mapping_needs_and_nothing_else(
    redis: Redis, settings: Settings, tmp_path: Path
) -> None:
    file, key = tmp_path / "mapping.json", tmp_path / "key"
    file.write_text(MAPPING.model_dump_json())
    key.write_text("a-key")
    with platform() as port, RunRecord(settings.home) as record:
        record.claim()
        started = own_processes.started_at(os.getpid())
        assert started is not None
        url = f"http://127.0.0.1:{port}"
        record.write(Run("token", os.getpid(), started, url, "", ready=True))
        done = await invoke("remote-write", "edge", "--mapping", str(file), "--yes")
        assert done.exit_code == 0, done.output
        section = re.search(r"^remote_write:\n(?: .*\n)+", done.output, re.MULTILINE)
        assert section is not None
        config = (
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: orders, static_configs: [{{targets: ['127.0.0.1:{port}']"
            "}]}]\n" + section[0].replace("/etc/prometheus/ballast.key", str(key))
        )
        with running(None, config):
            await until(lambda: names() >= set(Needed(MAPPING).names))
    assert names() == {"http_requests_total", "queue_depth"}
    assert {(path, key) for path, key, _ in Platform.written} == {
        ("/api/v1/write?source=edge", "Bearer a-key")
    }
    assert (await sources(redis))["edge"] == RemoteWriteSource(mapping=MAPPING)


async def test_the_page_shows_what_is_printed_for_its_mapping(tmp_path: Path) -> None:
    mapping, section = re.findall(r"```(?:json|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / "mapping.json"
    file.write_text(mapping)
    done = await invoke("remote-write", "edge", "--mapping", str(file), "--dry-run")
    assert done.exit_code == 0, done.output
    assert section in done.output


def names() -> set[str]:
    return {
        label.value
        for _, _, body in Platform.written
        for series in V1["WriteRequest"].FromString(unpack(body)).timeseries
        for label in series.labels
        if label.name == "__name__"
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Give either --look-at"),
        (["--look-at", "http://127.0.0.1:9", "--mapping", "m.json"], "Give either --look-at"),
        (["--mapping", "/nowhere/m.json"], "cannot be read: No such file"),
        (["--look-at", "http://127.0.0.1:9", "--cadence", "20"], "multiple of 15"),
        (["--look-at", "http://127.0.0.1:9"], "did not answer"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(words: list[str], said: str) -> None:
    done = await invoke("remote-write", "edge", *words, "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert said in done.output


async def test_a_mapping_that_takes_promql_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(
        '{"entity": "job", "metrics": {"load": {"kind": "expression", "promql": "max(x)"}}}'
    )
    done = await invoke("remote-write", "edge", "--mapping", str(file), "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1), done.output
    assert "load: only a Prometheus that is asked can run an expression" in done.output


def written(at: int) -> bytes:
    """Write one scrape of two services: 5 requests a second each, and 3 that wait."""
    labels = [
        {"__name__": name, "job": job}
        for job in ("orders", "search")
        for name in ("http_requests_total", "queue_depth")
    ]
    series = [
        Series(identity_of(each), each["__name__"], (("job", each["job"]),)) for each in labels
    ]
    values = [5.0 * at if each.name == "http_requests_total" else 3.0 for each in series]
    count = len(series)
    rows = np.arange(count, dtype=np.uint32)
    return encode(Samples(series, rows, np.full(count, at * 1000), np.array(values)))


async def test_a_check_says_what_waits_and_what_it_makes(redis: Redis, tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(MAPPING.model_dump_json())
    await invoke("remote-write", "edge", "--mapping", str(file), "--yes")
    checked = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sources", "check", "edge"]))
    assert checked.exit_code == 0, checked.output
    assert "Nothing of edge waits in Redis" in checked.output

    stream = SampleStream(redis, "edge")
    newest = int(time.time()) // 15 * 15
    for at in range(newest - 300, newest + 1, 15):
        await stream.add(written(at))
    listed = await asyncio.to_thread(lambda: CliRunner().invoke(app, ["sources", "list"]))
    assert re.search(r"edge +remote_write +unknown", listed.output)
    # A quarter of a minute after they came each of these intervals is over for long enough.
    later = datetime.fromtimestamp(time.time() + 15, UTC)
    source = (await sources(redis))["edge"]
    assert isinstance(source, RemoteWriteSource)
    waiting = (await stream.held()).entries
    lines = await check_writes(redis, "edge", source, later)
    waits, _, aged = lines[0].partition("; ")
    assert re.fullmatch(rf"{waiting} writes \(0\.\d\d MB\) of edge wait in Redis", waits)
    assert aged == f"the newest sample is {later.timestamp() - newest:.0f} s old."
    begins = datetime.fromtimestamp(newest // 60 * 60 - 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert lines[1] == f"  The interval from {begins}: 2 entities, orders, search."
    assert lines[2:] == [
        "  request_rate    in 100% of the rows, from 5 to 5",
        "  queue_depth     in 100% of the rows, from 3 to 3",
    ]
    assert (await stream.held()).entries == waiting
