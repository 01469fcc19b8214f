"""Says in lines what a source gave: each metric's values, and what was wrong."""

from collections.abc import Collection, Iterable

import numpy as np

from features.sources.prometheus.proposed import METRICS
from features.sources.source import Complaint
from features.telemetry.columns import Telemetry


def entities_of(rows: Telemetry) -> list[str]:
    return sorted(set(rows.entity.tolist()))


def metric_lines(rows: Telemetry, metrics: Collection[str]) -> Iterable[str]:
    """Give a line for each of these metrics, in the order of all."""
    for metric in METRICS:
        if metric in metrics:
            yield f"  {metric:<15} {_values(rows, metric)}"


def complaint_lines(complaints: Iterable[Complaint]) -> Iterable[str]:
    for each in complaints:
        yield f"  {each.fault}, {each.count} times: {each.example}"


def _values(rows: Telemetry, metric: str) -> str:
    values = rows.columns()[metric]
    measured = values[np.isfinite(values)]
    if not len(measured):
        return "no value"
    share = len(measured) / len(values)
    return f"in {share:.0%} of the rows, from {measured.min():.4g} to {measured.max():.4g}"
