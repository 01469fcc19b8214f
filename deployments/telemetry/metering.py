"""How sources fare, as metrics: what an alarm rule of the user's own Prometheus goes by."""

import math
from collections.abc import Sequence

from features.telemetry.source_states import SourceState
from observability.metrics import Metrics


class SourceMeter:
    """Sets the gauges of each source, and counts what came since it was shown last."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counted: dict[tuple[str, ...], int] = {}
        self._shown: set[str] = set()

    def show(self, states: Sequence[SourceState], now: float) -> None:
        metrics = self._metrics
        for state in states:
            age = math.nan if state.newest is None else now - state.newest
            metrics.source_age_seconds.labels(state.name).set(age)
            metrics.source_breaker_open.labels(state.name).set(state.breaker == "open")
            metrics.source_rows.labels(state.name).inc(self._more(state.rows, state.name))
            for each in state.complaints:
                labels = (state.name, each.fault)
                metrics.source_complaints.labels(*labels).inc(self._more(each.count, *labels))
        self._forget({state.name for state in states})

    def _more(self, total: int, *of: str) -> int:
        """Tell how many came since this was asked last."""
        before = self._counted.get(of, 0)
        self._counted[of] = total
        # A source that is connected anew counts from nothing.
        return total if total < before else total - before

    def _forget(self, present: set[str]) -> None:
        for gone in self._shown - present:
            self._metrics.source_age_seconds.remove(gone)
            self._metrics.source_breaker_open.remove(gone)
        self._shown = present
