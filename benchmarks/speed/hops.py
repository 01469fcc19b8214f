"""What each hop of Ballast costs, from its own clocks: /metrics and the latency in an answer."""

import http.client
import json
import time
import urllib.request
from collections.abc import Mapping
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.speed.results import Hop
from benchmarks.speed.target import Target

Key = tuple[str, str]
SUFFIXES = ("_sum", "_count")
PUBLISHED_WITHIN_SECONDS = 1.5  # replicas publish what they counted once a second


def snapshot(target: Target) -> dict[Key, float]:
    """Read the sums and counts of all timings, by (sample, labels)."""
    time.sleep(PUBLISHED_WITHIN_SECONDS)
    url = urlsplit(target.url)
    headers = {**target.headers, "Accept": "application/json"}
    # The address is the loopback address of the server under test.
    request = urllib.request.Request(f"{url.scheme}://{url.netloc}/metrics", None, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return timings(json.loads(answer.read()))


def timings(families: Mapping[str, Any]) -> dict[Key, float]:
    return {
        (sample["name"], _labels(sample["labels"])): sample["value"]
        for name, family in families.items()
        if family["type"] == "histogram" and name.endswith("_seconds")
        for sample in family["samples"]
        if sample["name"].endswith(SUFFIXES)
    }


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def hops_between(
    before: Mapping[Key, float], after: Mapping[Key, float], clients: int
) -> list[Hop]:
    """Take the mean of every timing over what was counted between two snapshots."""
    found = []
    for (name, labels), count in after.items():
        if not name.endswith("_count"):
            continue
        metric = name.removesuffix("_count")
        total = (metric + "_sum", labels)
        calls = count - before.get((name, labels), 0.0)
        if calls > 0:
            seconds = after[total] - before.get(total, 0.0)
            found.append(Hop(clients, metric, labels, calls, seconds / calls * 1e3))
    return found


def lone_request_hops(target: Target, count: int = 200) -> list[Hop]:
    """Ask as one client: what the answer says it took, and what HTTP and the proxy add."""
    url = urlsplit(target.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=10)
    headers = {"Content-Type": "application/json", **target.headers}
    seen, inside = [], []
    for body in target.bodies.read_text().splitlines()[:count]:
        start = time.perf_counter()
        connection.request("POST", url.path, body, headers)
        answer = json.loads(connection.getresponse().read())
        seen.append((time.perf_counter() - start) * 1e3)
        inside.append(answer["meta"]["latency_ms"])
    connection.close()
    within = median(inside)
    return [
        Hop(1, "meta.latency_ms", "median", len(inside), within),
        Hop(1, "HTTP and proxy", "median seen less that", len(seen), median(seen) - within),
    ]
