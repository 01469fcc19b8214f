"""How long the safety stage takes for a batch of tail rows that break nothing, part by part.

    python -m benchmarks.safety.stage

Microseconds, the least of 20 times 30 calls; what a client waits for besides is not in it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
from redis.asyncio import Redis

from config_store.shipped import default_document
from config_store.steering.state import Stage, SteeringState, VersionLife
from config_store.store import Version
from deployments.runtime.batch import Batch
from deployments.runtime.clocks import SystemClocks
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from settings.environment import Settings

TIMES, CALLS = 20, 30
ROW = {
    "load": 0.5,
    "infra": 0.4,
    "request_rate": 1200.0,
    "error_rate": 0.002,
    "active_workers": 10.0,
    "slo_ms": 250.0,
    "baseline_ms": 20.0,
    "baseline_rate": 1000.0,
    "p50_pred": 21.0,
    "p95_pred": 70.0,
    "p99_pred": 130.0,
    "p999_pred": 310.0,
    "lower": 90.0,
    "upper": 200.0,
    "breach_probability": 0.08,
    "action": 0.0,
    "autoscale_workers": 12.0,
    "admit_fraction": 1.0,
}

LIFE = VersionLife(
    number=1,
    content_hash="c1",
    author="ada",
    message="a start",
    parent=None,
    created=0.0,
    stage=Stage.ACTIVE,
)
STATE = SteeringState(revision=1, changed=0.0, active=1, versions={1: LIFE})


def batch(rows: int) -> Batch:
    columns = {name: np.full(rows, value) for name, value in ROW.items()}
    return Batch("tail", [f"service-{each}" for each in range(rows)], columns)


def stage() -> Safety:
    """Make the stage without what it needs to be reached; its Redis is never asked."""
    replica: Any = SimpleNamespace(
        redis=Redis(),
        clocks=SystemClocks(),
        settings=Settings(),
        steering=SimpleNamespace(value=STATE),
        before_snapshot=lambda _: None,
    )
    return Safety(replica)


def least_us(work: Callable[[], object]) -> float:
    work()
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        for _ in range(CALLS):
            work()
        found.append((time.perf_counter() - began) / CALLS * 1e6)
    return min(found)


def main() -> None:
    document = default_document()
    safety, judge = stage(), Judge.of(document.safety.family("tail"))
    made = datetime(2026, 3, 2, tzinfo=UTC)
    safety.configure(Version(1, document.config_hash, "ada", "a start", made, document))
    print(f"{'rows':>5} {'limits':>8} {'policy':>8} {'whole':>8}")
    for rows in (1, 16, 64):
        asked = batch(rows)
        limits = least_us(lambda asked=asked: judge.checker.check(asked.columns, len(asked)))  # type: ignore[misc] # bound now
        policy = least_us(lambda asked=asked: judge.judge(asked))  # type: ignore[misc] # bound now
        whole = least_us(lambda asked=asked: safety.judge(asked, judge))  # type: ignore[misc] # bound now
        print(f"{rows:>5} {limits:>8.1f} {policy:>8.1f} {whole:>8.1f}")


if __name__ == "__main__":
    main()
