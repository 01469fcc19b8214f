"""Runs schedules: `python -m tests.config_store.simulation --schedules 100000 --seed 7`.

With `--only N` it runs schedule N of that seed alone, and prints what happened in it.
"""

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.config_store.simulation.invariants import ViolationError
from tests.config_store.simulation.world import run_schedule

AT_ONCE = 200
SAY_AGAIN = 2_000


def quieten() -> None:
    """Keep to itself what gateways log, as they do wherever Redis forgets or a document is gone."""
    logging.disable(logging.CRITICAL)


def run_some(seed: int, first: int, count: int) -> Counter[str]:
    """Run schedules first, first + 1, ...; count what happened in them."""
    found: Counter[str] = Counter()
    for number in range(first, first + count):
        found += run_schedule(seed, number).counts
        found["schedules"] += 1
    return found


def run_all(seed: int, schedules: int, workers: int) -> Counter[str]:
    found: Counter[str] = Counter()
    firsts = range(0, schedules, AT_ONCE)
    counts = [min(AT_ONCE, schedules - first) for first in firsts]
    with ProcessPoolExecutor(workers, initializer=quieten) as pool:
        for part in pool.map(partial(run_some, seed), firsts, counts):
            found += part
            if found["schedules"] % SAY_AGAIN == 0:
                _say(f"{found['schedules']} schedules")
    return found


def lines(found: Counter[str]) -> Iterator[str]:
    for name, count in sorted(found.items()):
        yield f"{name:<32}{count:>12,}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", type=int)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    began = time.monotonic()
    try:
        if asked.only is not None:
            quieten()
            world = run_schedule(asked.seed, asked.only)
            _say("\n".join(world.trace))
            return 0
        found = run_all(asked.seed, asked.schedules, asked.workers)
    except ViolationError as violation:
        _say(str(violation))
        return 1
    _say("\n".join(lines(found)))
    _say(f"no invariant was broken; {time.monotonic() - began:.0f} s")
    return 0


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
