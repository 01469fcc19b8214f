"""What the cache is worth at 1,000 requests a second over 1,000 entities, by Ballast's own counts.

Open loop: requests leave at their times, whatever became of the earlier ones. Two paths read
features: `/features/vectors`, out of the gateway's memory, and every model's question, by way of
the features stage, whose hop is timed by the gateway.
"""

import json
import math
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.features_speed.ballast import Running
from benchmarks.features_speed.subject import Subject, write
from benchmarks.speed.hops import PUBLISHED_WITHIN_SECONDS
from benchmarks.speed.openloop import OpenLoop, open_loop
from benchmarks.speed.target import Target

RATE = 1_000.0
HITS, MISSES = "feature_cache_hits_total", "feature_cache_misses_total"
TAIL = "/models/tail-slo"
Samples = Mapping[str, float]
"""Values of samples, by name and labels."""


@dataclass(frozen=True)
class AtRate:
    """One path's figures at that rate."""

    path: str
    opened: OpenLoop
    hits: float
    misses: float
    hop_p99_ms: float
    """An upper bound: of the bucket that the 99th percentile lies in."""

    @property
    def hit_rate(self) -> float:
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else math.nan


def measure(
    running: Running, subject: Subject, folder: Path, arrivals: Sequence[float]
) -> list[AtRate]:
    return [
        _at_rate(running, running.reader.targets[1], "http_request_duration_seconds", arrivals),
        _at_rate(running, _tail(running, subject, folder), "lane_stage_seconds", arrivals),
    ]


def _tail(running: Running, subject: Subject, folder: Path) -> Target:
    """Leave what the feature store knows to the feature store."""
    bodies = [{"entity": entity, "load": 0.6, "slo_ms": 250} for (entity,) in subject.asked[1]]
    path = write(folder / "bodies" / "tail", bodies, 1)
    return Target(running.platform.url + TAIL, running.headers, path)


def _at_rate(running: Running, target: Target, histogram: str, arrivals: Sequence[float]) -> AtRate:
    path = target.url.removeprefix(running.platform.url)
    labels = {"endpoint": path} if histogram.startswith("http") else {"stage": "features"}
    open_loop(target, [at for at in arrivals if at < arrivals[-1] / 4])  # the cache fills
    before = _samples(running)
    opened = open_loop(target, arrivals)
    after = _samples(running)
    change = {key: value - before.get(key, 0.0) for key, value in after.items()}
    buckets = {
        float(json.loads(key)[1]["le"]): count
        for key, count in change.items()
        if _is_bucket(key, histogram, labels)
    }
    return AtRate(
        path, opened, _sum(change, HITS), _sum(change, MISSES), 1e3 * upper_quantile(buckets, 0.99)
    )


def _samples(running: Running) -> Samples:
    """Read all that is counted, once everybody has published it."""
    time.sleep(PUBLISHED_WITHIN_SECONDS)
    headers = {**running.headers, "Accept": "application/json"}
    # The address is the loopback address of the platform that was started here.
    request = urllib.request.Request(f"{running.platform.url}/metrics", None, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        families: dict[str, Any] = json.loads(answer.read())
    found: dict[str, float] = {}
    for family in families.values():
        for sample in family["samples"]:
            key = json.dumps([sample["name"], sample["labels"]], sort_keys=True)
            found[key] = found.get(key, 0.0) + sample["value"]
    return found


def _sum(samples: Samples, name: str) -> float:
    return sum(value for key, value in samples.items() if json.loads(key)[0] == name)


def _is_bucket(key: str, histogram: str, labels: Mapping[str, str]) -> bool:
    name, found = json.loads(key)
    return bool(name == f"{histogram}_bucket" and labels.items() <= found.items())


def upper_quantile(buckets: Mapping[float, float], level: float) -> float:
    """Give the bound of the bucket that a quantile lies in; the buckets are cumulative."""
    total = max(buckets.values(), default=0.0)
    if not total:
        return math.nan
    return min(bound for bound, count in buckets.items() if count >= level * total)
