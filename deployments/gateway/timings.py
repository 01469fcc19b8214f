"""Times each stage of a batch, and counts what safety made of it."""

import time
from collections.abc import Callable

from deployments.batch import Judgement
from observability.metrics import Metrics


class Stopwatch:
    """Writes into the process's metrics; one call a stage, whatever the batch's size."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def start(self, family: str, rows: int) -> Callable[[str], None]:
        self._metrics.sent(family, rows)
        last = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            self._metrics.lane_stage_seconds.observe((now - last,), family, stage)
            last = now

        return lap

    def judged(self, family: str, judgement: Judgement) -> None:
        for found in judgement.violations.values():
            for violation in found:
                self._metrics.violated(family, str(violation["level"]))
        fallbacks = int(judgement.fallback.sum())
        if fallbacks:
            self._metrics.model_fallbacks.labels(family).inc(fallbacks)
