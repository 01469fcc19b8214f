"""How long the safety stage takes for a batch of tail rows that break nothing, part by part.

    python -m benchmarks.safety.stage

Microseconds, the least of 20 times 30 calls; what a client waits for besides is not in it.
"""

import time
from collections.abc import Callable

from benchmarks.speed.hot_path_costs import batch_of, safety_stage
from config_store.shipped import default_document
from deployments.safety.judge import Judge

TIMES, CALLS = 20, 30


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
    safety, judge = safety_stage(), Judge.of(document.safety.family("tail"))
    print(f"{'rows':>5} {'limits':>8} {'policy':>8} {'whole':>8}")
    for rows in (1, 16, 64):
        asked = batch_of(rows)
        limits = least_us(lambda asked=asked: judge.checker.check(asked.columns, len(asked)))  # type: ignore[misc] # bound now
        policy = least_us(lambda asked=asked: judge.judge(asked))  # type: ignore[misc] # bound now
        whole = least_us(lambda asked=asked: safety.judge(asked, judge))  # type: ignore[misc] # bound now
        print(f"{rows:>5} {limits:>8.1f} {policy:>8.1f} {whole:>8.1f}")


if __name__ == "__main__":
    main()
