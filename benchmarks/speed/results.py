"""What was measured, and its medians."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.speed.openloop import OpenLoop
from benchmarks.speed.wrk import ClosedLoop


@dataclass(frozen=True)
class Run:
    contender: str
    variant: str
    clients: int
    closed: ClosedLoop


@dataclass(frozen=True)
class OpenRun:
    contender: str
    variant: str
    rate: float
    opened: OpenLoop


@dataclass(frozen=True)
class Hop:
    """What one step costs inside Ballast, at a number of clients."""

    clients: int
    metric: str
    labels: str
    calls: float
    mean_ms: float


@dataclass
class Report:
    started: datetime
    machine: dict[str, str]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    trials: list[Run] = field(default_factory=list)
    """One short run of each variant, by which the best was chosen."""
    runs: list[Run] = field(default_factory=list)
    open_runs: list[OpenRun] = field(default_factory=list)
    hops: list[Hop] = field(default_factory=list)

    @property
    def figures(self) -> list[Run]:
        return medians(self.runs)


def medians(runs: Iterable[Run]) -> list[Run]:
    """Take the median of each figure over the rounds, and the sum of the errors."""
    groups: dict[tuple[str, str, int], list[ClosedLoop]] = {}
    for run in runs:
        groups.setdefault((run.contender, run.variant, run.clients), []).append(run.closed)
    return [Run(*key, closed=medians_of(rounds)) for key, rounds in groups.items()]


def medians_of(rounds: Sequence[ClosedLoop]) -> ClosedLoop:
    """Take the median of each figure, and the sum of the errors."""
    counts = {"non_2xx", "socket_errors"}
    return ClosedLoop(
        **{
            each.name: (sum if each.name in counts else median)(
                getattr(one, each.name) for one in rounds
            )
            for each in fields(ClosedLoop)
        }
    )


def best_variant(trials: Sequence[Run], contender: str) -> str:
    """Name the variant that answered the most requests with success."""
    own = [trial for trial in trials if trial.contender == contender]
    return max(own, key=lambda trial: trial.closed.rps).variant


def write_json(report: Report, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.started:%Y-%m-%dT%H-%M-%S}.json"
    content = {**asdict(report), "figures": [asdict(figure) for figure in report.figures]}
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
    return path
