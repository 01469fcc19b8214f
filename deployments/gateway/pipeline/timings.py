"""Times each stage of a batch, and counts what safety made of it."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from deployments.runtime.batch import Judgement
from observability.metrics import Metrics


@dataclass(slots=True)
class Spent:
    """What the batches of each family had, and where their time went."""

    rows: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    # By family and stage.
    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))


class Stopwatch:
    """Notes as batches pass, and writes into the metrics once a second: that costs far less."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._laps: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self._rows: defaultdict[str, list[float]] = defaultdict(list)
        self._spent = Spent()

    def start(self, family: str, rows: int) -> Callable[[str], None]:
        self._rows[family].append(rows)
        last = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            self._laps[family, stage].append(now - last)
            last = now

        return lap

    def judged(self, family: str, judgement: Judgement) -> None:
        for found in judgement.violations.values():
            for violation in found:
                self._metrics.violated(family, str(violation["level"]))
        if fallbacks := int(np.count_nonzero(judgement.fallback)):
            self._metrics.model_fallbacks.labels(family).inc(fallbacks)

    def write(self) -> None:
        """Write down what was noted since the last time."""
        laps, self._laps = self._laps, defaultdict(list)
        rows, self._rows = self._rows, defaultdict(list)
        for (family, stage), seconds in laps.items():
            self._metrics.lane_stage_seconds.observe(seconds, family, stage)
            self._spent.seconds[family, stage] += sum(seconds)
        for family, sizes in rows.items():
            self._metrics.lane_batch_rows.observe(sizes, family)
            self._spent.rows[family] += sum(sizes)

    def take_spent(self) -> Spent:
        """Give what was written down since this was last asked for."""
        spent, self._spent = self._spent, Spent()
        return spent
