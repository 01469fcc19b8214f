"""`ballast connect` and `ballast sources` with a real Redis and a real Prometheus."""

import asyncio
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.sources import PrometheusSource, PushSource, SourceConfig, SourcesConfig
from config_store.store import ConfigStore
from deployments.api.telemetry import TelemetryRows
from features.sources.http.connection import Limits
from features.sources.rules import Rate, Selector
from launch import own_processes
from launch.cli import app
from launch.run_record import Run, RunRecord
from launch.sources import connecting
from launch.sources.change import add, change_sources, pause
from settings.environment import Settings
from tests.deploying import drafted
from tests.ports import any_free_port
from tests.prometheus_server import PrometheusServer, running
from tests.redis_server import RedisServer
from tests.scraped import counter, gauge, histogram, openmetrics

# Every command goes by these settings.
pytestmark = pytest.mark.usefixtures("settings")

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(words)))


async def sources(redis: Redis) -> dict[str, SourceConfig]:
    return (await ConfigStore(redis).active()).document.sources.named


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusServer]:
    """Give one that has a service from a while ago to a while from now."""
    series = [
        *(
            counter("http_requests_total", rate, job="orders", status=status)
            for status, rate in (("200", 9.0), ("500", 1.0))
        ),
        *histogram("http_request_duration_seconds", 10, {"job": "orders"}),
        gauge("up", 1, job="orders"),
        gauge("up", 1, job="prometheus"),
        gauge("prometheus_build_info", 1, job="prometheus"),
    ]
    until = int(time.time()) // 60 * 60 + 300
    with running(openmetrics(series, until, seconds=2400)) as server:
        yield server


async def test_a_service_too_fast_for_its_buckets_is_told_of() -> None:
    series = [
        counter("http_requests_total", 10, job="cache", status="200"),
        *histogram("http_request_duration_seconds", 10, {"job": "cache"}, even_to=0.0008),
        counter("http_requests_total", 10, job="orders", status="200"),
        *histogram("http_request_duration_seconds", 10, {"job": "orders"}, power=0.5),
    ]
    until = int(time.time()) // 60 * 60 + 300
    with running(openmetrics(series, until, seconds=2400)) as server:
        found = await invoke("connect", "prometheus", server.url, "--dry-run")
    assert "Too fast for the buckets of their histogram: cache." in found.output
    assert "which ends at 5 ms" in found.output


async def test_connecting_makes_a_version_with_the_mapping(
    redis: Redis, prometheus: PrometheusServer
) -> None:
    done = await invoke("connect", "prometheus", prometheus.url, "--yes")
    assert done.exit_code == 0, done.output
    assert "measures 1 service, named by the label job: orders" in done.output
    assert "Left out, as they serve no requests: prometheus" in done.output
    assert "orders: 10/s" in done.output
    assert "perhaps" not in done.output
    assert "prometheus is connected: configuration version 2 is active." in done.output
    source = (await sources(redis))["prometheus"]
    assert isinstance(source, PrometheusSource)
    assert str(source.url) == f"{prometheus.url}/"
    rate = Rate(of=Selector(name="http_requests_total"))
    assert source.mapping.metrics["request_rate"] == rate

    again = await invoke("connect", "prometheus", prometheus.url, "--yes")
    assert again.exit_code == 1
    assert "A source named prometheus is connected already" in again.output
    words = ("connect", "prometheus", prometheus.url.replace("127.0.0.1", "localhost"), "--yes")
    other = await invoke(*words, "--name", "second")
    assert other.exit_code == 1
    assert "is connected already, as prometheus: each of its services would be" in other.output
    other = await invoke(*words, "--name", "second", "--force")
    assert other.exit_code == 0, other.output
    assert "This is the first source" in done.output
    assert "This is the first source" not in other.output
    assert set(await sources(redis)) == {"prometheus", "second"}


@pytest.mark.parametrize("words", [["--dry-run"], []])
async def test_nothing_is_changed_without_a_yes(
    redis: Redis, prometheus: PrometheusServer, words: list[str]
) -> None:
    done = await invoke("connect", "prometheus", prometheus.url, *words)
    assert "request_rate" in done.output
    assert done.exit_code == (0 if words else 1)
    assert ("again with --yes" in done.output) == (not words)
    active = await redis.get(ConfigStore(redis).active_key)
    assert active == (None if words else b"1")  # a dry run asks Redis nothing


async def test_a_source_is_paused_checked_resumed_and_removed(
    redis: Redis, prometheus: PrometheusServer
) -> None:
    await invoke("connect", "prometheus", prometheus.url, "--yes", "--name", "main")
    listed = (await invoke("sources", "list")).output
    assert f"{prometheus.url}/" in listed
    assert "unknown" in listed
    assert "the platform does not run here" in listed

    checked = await invoke("sources", "check", "main")
    assert checked.exit_code == 0, checked.output
    assert "main answers: 10 rows of 1 entities in the last 10 min: orders." in checked.output
    assert "request_rate    in 100% of the rows, from 10 to 10" in checked.output

    assert "main is paused" in (await invoke("sources", "pause", "main")).output
    assert (await sources(redis))["main"].paused
    assert "paused" in (await invoke("sources", "list")).output
    assert "main is resumed" in (await invoke("sources", "resume", "main")).output
    assert not (await sources(redis))["main"].paused

    assert "main is removed" in (await invoke("sources", "remove", "main")).output
    assert await sources(redis) == {}
    assert "No source is connected" in (await invoke("sources", "list")).output


@pytest.mark.parametrize("word", ["check", "pause", "resume", "remove"])
async def test_an_unknown_source_is_named_with_those_there_are(redis: Redis, word: str) -> None:
    pushed = await invoke("connect", "push", "desk", "--cadence", "30", "--yes")
    assert pushed.exit_code == 0, pushed.output
    body = re.search(r'-d (".*")', pushed.output)
    assert body is not None
    posted: Any = TelemetryRows.model_validate_json(as_a_shell_reads(body[1]))
    (row,) = posted.rows
    assert abs(float(row.ts) - (time.time() - 60)) < 60  # it shows as live
    assert "/telemetry?source=desk" in pushed.output
    assert (await sources(redis))["desk"] == PushSource(cadence_seconds=30)
    done = await invoke("sources", word, "desc")
    assert done.exit_code == 1
    assert "There is no source named desc: there are desk." in done.output


def as_a_shell_reads(text: str) -> str:
    command = ["/bin/sh", "-c", f"printf %s {text}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Foreign(BaseHTTPRequestHandler):
    """Answers as a web site does, asks for a key, sends to a page to log in, or hangs."""

    over = threading.Event()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        first = self.path.split("/")[1]
        if first == "hangs":
            self.over.wait(60)
            return
        self.send_response({"private": 401, "barred": 403, "login": 302}.get(first, 200))
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    Foreign.over.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        Foreign.over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "said", "do"),
    [
        ("", "it answered 200 at {url} with a web page", "Give the url under which /api/v1/query"),
        ("/login", "it answered 302 at {url}: it sends elsewhere", "Give the url under which"),
        ("/private", "it answered 401 at {url}: it asks for a key", "with --token-file"),
        ("/barred", "it answered 403 at {url}: it asks for a key", "with --token-file"),
        ("/hangs", "at {url} took over 0.2 s", "See whether it is overloaded"),
    ],
)
async def test_what_is_no_prometheus_is_refused_in_one_sentence(
    site: str, path: str, said: str, do: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == "/hangs":
        monkeypatch.setattr(connecting, "LOOKING", Limits(answer_seconds=0.2))
    done = await invoke("connect", "prometheus", f"{site}{path}", "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert said.format(url=f"{site}{path}") in done.output
    assert do in done.output


@pytest.mark.parametrize(
    ("path", "do"), [("/private", "check that the key in its"), ("/barred", "may not read there")]
)
async def test_a_key_that_is_refused_is_named_with_where_it_lies(
    site: str, tmp_path: Path, path: str, do: str
) -> None:
    (tmp_path / "key").write_text("a-token")
    words = ("connect", "prometheus", f"{site}{path}", "--token-file", str(tmp_path / "key"))
    done = await invoke(*words, "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert do in done.output
    assert "a-token" not in done.output


async def test_one_that_does_not_answer_is_named() -> None:
    url = f"127.0.0.1:{any_free_port()}"
    done = await invoke("connect", "prometheus", url, "--dry-run")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert f"nothing answers at http://{url} (Connection refused), 3 times asked" in done.output
    assert "See whether its url is right" in done.output


async def test_a_push_source_is_not_connected_without_a_yes_and_says_what_follows(
    redis: Redis,
) -> None:
    asked = await invoke("connect", "push", "desk")
    assert asked.exit_code == 1
    assert "the demo's services and all of their telemetry are removed" in asked.output
    assert "again with --yes" in asked.output
    assert await sources(redis) == {}


async def test_a_mapping_that_measures_nothing_is_refused(
    redis: Redis, prometheus: PrometheusServer, tmp_path: Path
) -> None:
    file = tmp_path / "mapping.json"
    wrong = {"entity": "job", "metrics": {"load": {"kind": "gauge", "of": {"name": "nowhere"}}}}
    file.write_text(json.dumps(wrong))
    words = ("connect", "prometheus", prometheus.url, "--mapping", str(file), "--yes")
    done = await invoke(*words)
    assert done.exit_code == 1
    assert "load            no value" in done.output
    assert f"no metric of the mapping has a value at {prometheus.url}" in done.output
    assert await sources(redis) == {}
    assert (await invoke(*words, "--force")).exit_code == 0
    assert set(await sources(redis)) == {"prometheus"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["http://u:p@127.0.0.1:9"], "holds no secret"),
        (["http://127.0.0.1:9", "--name", "Main"], "Main"),
        (["http://127.0.0.1:9", "--name", "demo"], "simulator's"),
        (["http://127.0.0.1:9", "--cadence", "20"], "multiple of 15"),
        (["ftp://127.0.0.1:9"], "http"),
        (["http://127.0.0.1:9", "--token-file", "/nowhere/token"], "/nowhere/token"),
    ],
)
async def test_what_the_user_wrote_is_checked_before_anybody_is_asked(
    words: list[str], said: str
) -> None:
    done = await invoke("connect", "prometheus", *words, "--dry-run")
    assert done.exit_code == 1, done.output
    assert done.output.count("\n") == 1
    assert said in done.output


class Platform(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"sources": [{"name": "desk", "state": "late", "rows": 7}]}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def test_the_platform_is_asked_how_its_sources_are(settings: Settings) -> None:
    await invoke("connect", "push", "desk", "--yes")
    with HTTPServer(("127.0.0.1", 0), Platform) as server, RunRecord(settings.home) as record:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        record.claim()
        record.write(_own_run(f"http://127.0.0.1:{server.server_port}"))
        listed, checked = await invoke("sources", "list"), await invoke("sources", "check", "desk")
        server.shutdown()
        thread.join()
    assert "desk             push         late" in listed.output
    assert "desk is sent to the platform: state late, rows 7." in checked.output


def _own_run(url: str) -> Run:
    started = own_processes.started_at(os.getpid())
    assert started is not None
    return Run("token", os.getpid(), started, url, "", ready=True)


async def test_a_version_that_became_active_meanwhile_is_changed_instead(
    redis: Redis, redis_server: RedisServer, settings: Settings
) -> None:
    await invoke("connect", "push", "desk", "--yes")
    store = ConfigStore(redis)
    others = (await store.active()).document.model_copy(
        update={"sources": pause("desk", paused=True)((await store.active()).document.sources)}
    )
    number = (await drafted(redis, others)).number
    changed: list[int] = []

    def change(found: SourcesConfig) -> SourcesConfig:
        if not changed:
            with SyncRedis(unix_socket_path=str(redis_server.socket)) as ada:
                ada.set(store.active_key, number)
        changed.append(len(found.named))
        return add("second", PushSource())(found)

    await change_sources(redis, settings.paths.models, change, "a second one", NOW)
    assert len(changed) == 2
    named = await sources(redis)
    assert set(named) == {"desk", "second"}
    assert named["desk"].paused  # which ada did


async def test_a_mapping_is_saved_corrected_and_connected(
    redis: Redis, prometheus: PrometheusServer, tmp_path: Path
) -> None:
    file = tmp_path / "mapping.json"
    saved = await invoke(
        "connect", "prometheus", prometheus.url, "--dry-run", "--save-mapping", str(file)
    )
    assert saved.exit_code == 0, saved.output
    content = json.loads(file.read_text())
    content["metrics"] = {"request_rate": content["metrics"]["request_rate"]}
    file.write_text(json.dumps(content))
    words = ["connect", "prometheus", prometheus.url, "--yes", "--mapping", str(file)]
    done = await invoke(*words)
    assert done.exit_code == 0, done.output
    assert "request_rate    in 100% of the rows, from 10 to 10" in done.output
    source = (await sources(redis))["prometheus"]
    assert isinstance(source, PrometheusSource)
    assert set(source.mapping.metrics) == {"request_rate"}

    file.write_text('{"entity": "job"}')
    refused = await invoke(*words)
    assert refused.exit_code == 1
    assert f"The mapping in {file} cannot be used: metrics: Field required" in refused.output
