"""What the README shows of `ballast connect` is what is printed for such a Prometheus."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from random import random

import pytest

from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.proposal import propose
from launch.sources.proposal_text import show
from tests.prometheus_server import running
from tests.scraped import Scraped, counter, gauge, histogram, openmetrics

README = Path(__file__).parents[3] / "README.md"
NOW = int(time.time()) // 60 * 60


def service(job: str, a_second: float, failing: float) -> Iterator[Scraped]:
    """Give two processes of a service with a client library."""
    for number in (1, 2):
        process = {"job": job, "instance": f"10.0.0.{number}:8080"}
        good, bad = a_second * (1 - failing) / 2, a_second * failing / 2
        yield counter("http_requests_total", good, **process, status="200")
        yield counter("http_requests_total", bad, **process, status="500")
        yield from histogram("http_request_duration_seconds", a_second / 2, process, power=0.5)
        yield counter("process_cpu_seconds_total", 0.42, **process)
        yield gauge("process_start_time_seconds", NOW - 86_400, **process)
        yield gauge("up", 1, **process)


def example() -> Iterator[Scraped]:
    yield from service("order-gateway", 212.5, 0.004)
    yield from service("pricing", 80, 0.001)
    yield gauge("pricing_queue_size", 3, job="pricing")
    yield gauge("prometheus_build_info", 1, job="prometheus")
    yield gauge("up", 1, job="prometheus")


async def test_the_readme_shows_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with running(openmetrics(example(), NOW)) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        proposal = await propose(api, at=NOW, cadence_seconds=60)
        await api.close()
    show(proposal, "http://prometheus:9090")
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = re.search(
        r"```text\n(http://prometheus:9090 .*?)\n\.\.\.", README.read_text(), re.DOTALL
    )
    assert shown is not None
    lines = shown[1].splitlines()
    assert len(lines) > 5
    assert printed[: len(lines)] == lines
