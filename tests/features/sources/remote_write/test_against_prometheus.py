"""The evaluator against a real Prometheus: the same samples, the same numbers.

The samples are written to the server by remote write, by a second writer of the protocol, and to
the windows through the codec and the stream's form. Whatever the server answers to the rules'
PromQL at the end of each interval must be what the windows give.
"""

import math
import random
import struct
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from features.sources.prometheus.promql import deploys_of, expression_of
from features.sources.remote_write.codec import Codec, Message
from features.sources.remote_write.compression import unpack
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.needed import Needed
from features.sources.remote_write.samples import decode, encode
from features.sources.remote_write.windows import Windows
from features.sources.rules import (
    Gauge,
    GaugeRatio,
    Mapping,
    Matcher,
    Quantile,
    Rate,
    Ratio,
    Selector,
)
from tests.features.sources.remote_write.messages import Given, pack, write_v1, write_v2
from tests.prometheus_server import PrometheusServer, running

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.5", "1", "+Inf")
START = 1_764_000_000
# Longer ago than the mapping looks back, so that no case meets the samples of another.
APART = 7200
# By the end of the interval, the entity and the metric.
Values = dict[tuple[int, str, str], float]

REQUESTS = Selector(
    name="http_requests_total", where=(Matcher(label="zone", op="=~", value="a|b"),)
)
MAPPING = Mapping(
    entity="service",
    metrics={
        "request_rate": Rate(of=REQUESTS),
        "error_rate": Ratio(
            of=REQUESTS.model_copy(
                update={"where": (*REQUESTS.where, Matcher(label="code", op="=~", value="5.."))}
            ),
            by=REQUESTS,
        ),
        "p50_ms": Quantile(of=Selector(name="latency_seconds"), level=0.47),
        "p99_ms": Quantile(of=Selector(name="latency_seconds"), level=0.983),
        "queue_depth": Gauge(of=Selector(name="queue")),
        "active_workers": Gauge(of=Selector(name="queue"), over="count"),
        "infra": Gauge(of=Selector(name="share"), over="max"),
        "cpu": Gauge(of=Selector(name="share"), over="avg", times=0.5),
        "memory": Gauge(
            of=Selector(name="share", where=(Matcher(label="zone", op="!~", value="b.*"),)),
            over="min",
        ),
        "load": GaugeRatio(of=Selector(name="used"), by=Selector(name="limit")),
    },
    deploys=Selector(name="process_start_time_seconds"),
    version_label="version",
)


@pytest.fixture(scope="module")
def prometheus() -> Iterator[PrometheusServer]:
    with running() as server:
        yield server


def test_the_server_is_of_the_edition_that_is_compared() -> None:
    command = ("prometheus", "--version")
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("prometheus, version 2."), "compare with the edition 3 then"


@pytest.mark.parametrize("seed", range(12))
def test_every_rule_gives_what_the_server_gives(prometheus: PrometheusServer, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - a reproducible draw, no secret
    cadence = draw.choice((15, 30, 60, 300, 600))
    scrape = cadence / draw.choice((2, 3, 4, 7, 12))
    start = (START + seed * APART * 20) // 3600 * 3600
    series = _drawn(draw, start, cadence, scrape)
    _push(prometheus, series)
    windows = Windows(MAPPING, cadence, edition=EDITIONS[2])
    stop = start + 8 * cadence
    _write(windows, draw, series)
    found = _rows(windows, float(stop))
    asked = _asked(prometheus, cadence, start, stop)
    found = {key: value for key, value in found.items() if key[0] <= stop}
    assert len(asked) > 100
    assert {key[2] for key in asked} >= {*MAPPING.metrics, "deploy"}
    assert _differences(asked, found) == {}


def _drawn(draw: random.Random, start: int, cadence: int, scrape: float) -> list[Given]:
    """Draw series with jitter, resets, missing scrapes, ends, and samples on the very edge."""
    series: list[Given] = []
    for service in ("checkout", "orders", "quiet"):
        for pod in range(draw.randint(1, 3)):
            at = {"service": service, "pod": str(pod), "zone": draw.choice("abc"), "job": "x"}
            times = _times(draw, start, cadence, scrape)
            for code in ("200", "500"):
                if service == "quiet" and code == "500":
                    continue
                labels = {"__name__": "http_requests_total", "code": code, **at}
                series.append(Given(labels, _counter(draw, times)))
            series += _histogram(draw, {"__name__": "latency_seconds_bucket", **at}, times)
            for name in ("queue", "share", "used", "limit"):
                points = [(time, draw.choice((0.0, draw.random()))) for time in times]
                series.append(Given({"__name__": name, **at}, points))
            series += _processes(draw, {"__name__": "process_start_time_seconds", **at}, times)
    for _, samples in series:
        if samples and draw.random() < 0.3:  # the target went away, and may have come back
            place = draw.randrange(len(samples))
            samples[place] = (samples[place][0], STALE)
    return [each for each in series if each.samples]


def _processes(draw: random.Random, labels: dict[str, str], times: list[int]) -> list[Given]:
    """Draw a process that may start anew, and others that take its place or come in addition."""
    begun, found = START - 1000.0, []
    for time in times:
        begun = time / 1000 if draw.random() < 0.04 else begun
        found.append((time, begun))
    version = draw.choice(("", "1", "2"))
    old = {**labels, "version": version} if version else labels
    if not times or draw.random() < 0.4:
        return [Given(old, found)]
    place = draw.randrange(len(times))
    later = [(time, times[place] / 1000) for time in times[place:]]
    new = {**old, "pod": f"{labels['pod']}+", "version": draw.choice(("1", "2", "3"))}
    if draw.random() < 0.5:  # in its place
        found = [*found[:place], (times[place], STALE)]
    return [Given(old, found), Given(new, later)]


def _times(draw: random.Random, start: int, cadence: int, scrape: float) -> list[int]:
    begin = start + draw.choice((0.0, draw.random() * 3 * cadence))
    offset, found = draw.choice((0.0, draw.random() * scrape)), []
    for number in range(int(8.5 * cadence / scrape)):
        jitter = draw.choice((0.0, draw.uniform(-0.05, 0.05) * scrape))
        time = round((start + offset + number * scrape + jitter) * 1000)
        if time >= begin * 1000 and draw.random() > 0.08:
            found.append(time)
    return sorted(set(found))


def _counter(draw: random.Random, times: list[int]) -> list[tuple[int, float]]:
    value, found = draw.choice((0.0, draw.random() * 50)), []
    for time in times:
        value = draw.random() * 3 if draw.random() < 0.05 else value + draw.randint(0, 20)
        found.append((time, value))
    return found


def _histogram(draw: random.Random, labels: dict[str, str], times: list[int]) -> list[Given]:
    counts = [0.0] * len(BOUNDS)
    found: list[list[tuple[int, float]]] = [[] for _ in BOUNDS]
    for time in times:
        for _ in range(draw.randint(0, 30)):
            for place in range(min(int(draw.expovariate(0.4)), len(BOUNDS) - 1), len(BOUNDS)):
                counts[place] += 1
        if draw.random() < 0.05:
            counts = [0.0] * len(BOUNDS)
        for place, count in enumerate(counts):
            if draw.random() > 0.02:  # single buckets may be lost, and rates disagree then
                found[place].append((time, count))
    return [
        Given({**labels, "le": bound}, points) for bound, points in zip(BOUNDS, found, strict=True)
    ]


def _push(server: PrometheusServer, series: list[Given]) -> None:
    headers = {"content-encoding": "snappy", "content-type": "application/x-protobuf"}
    answer = httpx.post(
        f"{server.url}/api/v1/write", content=pack(write_v1(series)), headers=headers
    )
    assert answer.status_code == 204, answer.text


def _write(windows: Windows, draw: random.Random, series: list[Given]) -> None:
    """Send the same through the codec, in many bodies; some of them come twice."""
    codec = Codec(Needed(MAPPING))
    points = [
        (time, number, value)
        for number, (_, samples) in enumerate(series)
        for time, value in samples
    ]
    points.sort(key=lambda point: point[0])
    size = max(1, len(points) // 20)
    for number, at in enumerate(range(0, len(points), size)):
        part = points[at : at + size]
        body = [Given(series[of].labels, [(time, value)]) for time, of, value in part]
        write, message = draw.choice(((write_v1, Message.V1), (write_v2, Message.V2)))
        for _ in range(draw.choice((1, 1, 2))):
            *_, written = codec.read(unpack(pack(write(body))), message)
            assert not written.refused
            windows.add(f"{number}-0", decode(encode(written.taken())), part[-1][0])


def _rows(windows: Windows, stop: float) -> Values:
    found: Values = {}
    now = stop + 8000  # long after the last sample
    while (gathered := windows.finished(now)).until is not None:
        telemetry = gathered.telemetry
        for row, (ts, entity) in enumerate(zip(telemetry.ts, telemetry.entity, strict=True)):
            end = int(ts) + windows.cadence_seconds
            for metric in MAPPING.metrics:
                value = float(getattr(telemetry, metric)[row])
                if not math.isnan(value):
                    found[end, str(entity), metric] = value
            if telemetry.deploy[row]:
                found[end, str(entity), "deploy"] = 1.0
        windows.stored(gathered.until, now)
    return found


def _asked(server: PrometheusServer, cadence: int, first: int, last: int) -> Values:
    promql: dict[str, str] = {
        metric: expression_of(rule, MAPPING.entity, cadence)
        for metric, rule in MAPPING.metrics.items()
    }
    assert MAPPING.deploys is not None
    promql["deploy"] = deploys_of(MAPPING.deploys, MAPPING.entity, cadence, MAPPING.version_label)
    found: Values = {}
    with httpx.Client(base_url=server.url) as client:
        for metric, query in promql.items():
            asked: dict[str, str | int] = {
                "query": query,
                "start": first,
                "end": last,
                "step": cadence,
            }
            answer: Any = client.get("/api/v1/query_range", params=asked).json()
            assert answer["status"] == "success", answer
            for each in answer["data"]["result"]:
                for end, text in each["values"]:
                    value = 1.0 if metric == "deploy" else float(text)
                    if not math.isnan(value):
                        found[int(end), each["metric"]["service"], metric] = value
    return found


def _differences(asked: Values, found: Values) -> dict[Any, Any]:
    return {
        key: (asked.get(key), found.get(key))
        for key in asked.keys() | found.keys()
        if key not in asked or key not in found or not _close(asked[key], found[key])
    }


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-15)
