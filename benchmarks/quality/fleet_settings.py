"""Which settings find simulated faults: `python -m benchmarks.quality.fleet_settings --data DIR`.

How the defaults of `models.anomaly.fleet` were chosen, without the labels of the telemetry bench:
from half an hour after the day's last fault nothing was injected, and into those hours faults are
simulated, at the beginning as in the real day, one every eight or nine minutes, three in a row on a
pod. A fault shifts a third of the quantities, up more often than down, for three to six minutes, by
a size that is log-normal around four usual spreads. A world is the rest of the day from a random
minute of its first half. The share of faults found when 1 % of the fault-free pod-minutes ring:

    lasting        1     2     3
    window 15     .54   .73   .74      means over prior 15, 30, 60 and 120, which is within .03 of
    window 30     .51   .72   .76      them (.08 where lasting is 1); of 12 worlds, so that each
    window 60     .49   .68   .64      has a standard error of about .035

One observation is not enough, and an hour is too long a window for a fleet that is worked on; what
else there is to choose makes little difference. Two in a row were taken rather than three, which
are as good within the error, for they tell a minute sooner and ask no fault to last longer.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.telemetry import (
    METRICS,
    QUANTITIES,
    Day,
    by_fleet,
    found,
    read_day,
    threshold,
)
from models.anomaly.fleet import FleetSettings

WORLDS, FAULTS, IN_A_ROW = 12, 24, 3
FIRST = 3  # minutes after the beginning
QUIET = 1_800  # seconds after the last fault
HIT, UP = 0.35, 0.65
SIZE, SIZE_SPREAD = 4.0, 0.8
LEAST_OF_USUAL = 0.3  # a metric that stands still moves by this share of the other pods' spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    folder = parser.parse_args().data / "telemetry"
    pods, faults = "onlineboutique_pods_day1.parquet", "onlineboutique_faults_day1.csv"
    day = read_day(folder / pods, folder / faults)
    quiet = day.logs[day.ts > day.fault_ts[-1] + QUIET]
    worlds = [world(quiet, np.random.default_rng((seed, 1))) for seed in range(WORLDS)]
    for window, prior, lasting in product((15, 30, 60), (15, 30, 60, 120), (1, 2, 3)):
        settings = FleetSettings(window=window, prior=prior, lasting=lasting)
        shares = [_share_found(one, settings) for one in worlds]
        error = np.std(shares) / np.sqrt(len(shares))
        print(f"window {window:2d} prior {prior:3d} lasting {lasting}: ", end="")
        print(f"{np.mean(shares):.3f} +- {error:.3f}", flush=True)


def world(quiet: Any, rng: np.random.Generator) -> Day:
    """Put simulated faults into the beginning of a part of the quiet hours."""
    logs = quiet[rng.integers(0, len(quiet) // 2) :].copy()
    pods = np.repeat(rng.permutation(logs.shape[1]), IN_A_ROW)[:FAULTS]
    begins = FIRST + np.cumsum([0, *rng.integers(8, 10, size=FAULTS - 1)])
    usual = _usual(quiet)
    for pod, begin in zip(pods, begins, strict=True):
        _inject(logs[begin + rng.integers(0, 2) :, pod], usual[pod], rng)
    return Day(60 * np.arange(len(logs)), logs, 60 * begins, pods)


def _inject(logs: Any, usual: Any, rng: np.random.Generator) -> None:
    """Shift the first minutes of a pod's (minutes, metrics); metrics of a quantity go together."""
    minutes = rng.integers(3, 7)
    hit = rng.random(len(QUANTITIES)) < HIT
    hit[rng.integers(len(QUANTITIES))] = True
    for names in np.array(list(QUANTITIES.values()), dtype=object)[hit]:
        size = rng.lognormal(np.log(SIZE), SIZE_SPREAD) * (1 if rng.random() < UP else -1)
        for metric in (METRICS.index(name) for name in names):
            shifted = logs[:minutes, metric] + size * usual[metric]
            logs[:minutes, metric] = np.maximum(shifted, 0.0)


def _usual(quiet: Any) -> Any:
    """Give the spread from minute to minute, as a normal sd would have it: (pods, metrics)."""
    steps = np.abs(np.diff(quiet, axis=0))
    own = 1.4826 * np.median(steps, axis=0) / np.sqrt(2)
    return np.maximum(own, LEAST_OF_USUAL * np.median(own, axis=0))


def _share_found(day: Day, settings: FleetSettings) -> float:
    score = by_fleet(day, settings)
    return found(day, score, threshold(day, score)) / len(day.fault_ts)


if __name__ == "__main__":
    main()
