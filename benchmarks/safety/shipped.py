"""Time the shipped policies on a batch of 64: `python -m benchmarks.safety.shipped`.

Times are of this thread's processor time, the best and the median of many: what other programs do
meanwhile counts little. Nothing here is newer than the checker itself, so that the same file times
an older tree: put it there and run it.
"""

import statistics
import time
import timeit
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from safety.capacity import capacity_policy
from safety.checker import Checker
from safety.fallback import Fallback
from safety.policy import FamilyPolicy
from safety.tail import tail_policy

ROWS = 64
TAIL = {
    "load": 0.5,
    "infra": 0.4,
    "request_rate": 1200.0,
    "error_rate": 0.002,
    "active_workers": 10.0,
    "slo_ms": 250.0,
    "baseline_ms": 20.0,
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
CAPACITY = {
    "request_rate": 1000.0,
    "active_workers": 10.0,
    "next_hour_workers": 12.0,
    "queue_capacity": 250.0,
    "rate": 1100.0,
    "lower": 900.0,
    "upper": 1300.0,
}


def time_policy(
    name: str, policy: FamilyPolicy, healthy: Mapping[str, float], spoiled: Mapping[str, float]
) -> None:
    """Print what a batch costs in which nothing is wrong, and one with some rows spoiled."""
    checker = Checker(policy)
    fallback = Fallback(policy, checker)
    clean = {field: np.full(ROWS, value) for field, value in healthy.items()}
    broken = {field: column.copy() for field, column in clean.items()}
    for field, value in spoiled.items():
        broken[field][[3, 40]] = value
    for kind, batch in (("clean", clean), ("two rows broken", broken)):
        print_cost(f"{name}, {kind}", partial(carry_out, checker, fallback, batch))


def carry_out(checker: Checker, fallback: Fallback, columns: Mapping[str, Any]) -> None:
    """Do what is done for every batch."""
    fallback.repair(columns, checker.check(columns, ROWS))


def print_cost(label: str, work: Callable[[], object]) -> float:
    """Print what the work costs, in microseconds, and give the best."""
    timer = timeit.Timer(work, timer=time.thread_time)
    costs = [each / 20 * 1e6 for each in timer.repeat(number=20, repeat=100)]
    print(f"{label:40} best {min(costs):7.1f} us   median {statistics.median(costs):7.1f} us")
    return min(costs)


def main() -> None:
    time_policy("tail", tail_policy(), TAIL, {"autoscale_workers": 40.0})
    time_policy("capacity", capacity_policy(), CAPACITY, {"next_hour_workers": 5_000.0})


if __name__ == "__main__":
    main()
