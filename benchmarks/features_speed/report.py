"""What was measured, as JSON and as a Markdown table."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.features_speed.hits import RATE, AtRate
from benchmarks.speed.results import medians_of
from benchmarks.speed.table import milliseconds
from benchmarks.speed.wrk import ClosedLoop

BALLAST = "ballast"
ENOUGH_TIMES = 2.0
ENOUGH_HITS = 0.95
ENOUGH_HOP_MS = 2.0


@dataclass(frozen=True)
class Run:
    contender: str
    variant: str
    size: int
    clients: int
    closed: ClosedLoop


@dataclass
class Report:
    started: datetime
    machine: dict[str, str]
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    trials: list[Run] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    at_rate: list[AtRate] = field(default_factory=list)

    @property
    def figures(self) -> list[Run]:
        return medians(self.runs)


def medians(runs: Iterable[Run]) -> list[Run]:
    groups: dict[tuple[str, str, int, int], list[ClosedLoop]] = {}
    for run in runs:
        key = (run.contender, run.variant, run.size, run.clients)
        groups.setdefault(key, []).append(run.closed)
    return [Run(*key, closed=medians_of(rounds)) for key, rounds in groups.items()]


@dataclass(frozen=True)
class Ratio:
    """Ballast beside the best of the others, at one size and number of clients."""

    size: int
    clients: int
    throughput: float
    p99: float

    @property
    def enough(self) -> bool:
        return min(self.throughput, self.p99) >= ENOUGH_TIMES


def ratios(figures: Sequence[Run]) -> list[Ratio]:
    found = []
    for own in (run for run in figures if run.contender == BALLAST):
        others = [
            run.closed
            for run in figures
            if run.contender != BALLAST and (run.size, run.clients) == (own.size, own.clients)
        ]
        if others:
            throughput = own.closed.rps / max(each.rps for each in others)
            p99 = min(each.p99_ms for each in others) / own.closed.p99_ms
            found.append(Ratio(own.size, own.clients, throughput, p99))
    return found


def write(report: Report, folder: Path) -> Path:
    """Write both files; give the one in JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.started:%Y-%m-%dT%H-%M-%S}.json"
    figures = report.figures
    content = asdict(report) | {
        "figures": [asdict(run) for run in figures],
        "ratios": [asdict(ratio) for ratio in ratios(figures)],
    }
    path.write_text(json.dumps(content, indent=1, default=str) + "\n")
    path.with_suffix(".md").write_text(markdown(report))
    return path


def markdown(report: Report) -> str:
    lines = _closed(report.figures) + _beside(ratios(report.figures)) + _rates(report.at_rate)
    return "\n".join([*lines, *(f"\n{note}" for note in report.notes)]) + "\n"


def _closed(figures: Sequence[Run]) -> list[str]:
    columns = list(dict.fromkeys((run.size, run.clients) for run in figures))
    by_place = {(run.contender, run.variant, run.size, run.clients): run.closed for run in figures}
    head = " | ".join(f"{size} entities, {clients} clients" for size, clients in columns)
    lines = [f"| requests a second (p50 / p99 ms) | {head} |", "|---|" + "---:|" * len(columns)]
    for who in dict.fromkeys((run.contender, run.variant) for run in figures):
        cells = " | ".join(_cell(by_place.get((*who, *column))) for column in columns)
        lines.append(f"| {', '.join(who)} | {cells} |")
    return lines


def _cell(closed: ClosedLoop | None) -> str:
    if closed is None:
        return ""
    errors = closed.non_2xx + closed.socket_errors
    said = f", {errors} ERRORS" if errors else ""
    return (
        f"{closed.rps:,.0f} ({milliseconds(closed.p50_ms)} / {milliseconds(closed.p99_ms)}{said})"
    )


def _beside(found: Sequence[Ratio]) -> list[str]:
    lines = ["", "| ballast beside the best of feast | throughput | p99 | |", "|---|---:|---:|---|"]
    return lines + [
        f"| {each.size} entities, {each.clients} clients | {each.throughput:.1f} x | "
        f"{each.p99:.1f} x | {'kept' if each.enough else 'MISSED'} |"
        for each in found
    ]


def _rates(found: Sequence[AtRate]) -> list[str]:
    columns = "answered | p50 ms | p99 ms | hits | features p99"
    return [
        "",
        f"| {RATE:,.0f} requests a second, open loop | {columns} | |",
        "|---|---:|---:|---:|---:|---:|---|",
        *(
            f"| {each.path} | {each.opened.ok:,} of {each.opened.offered:,} | "
            f"{milliseconds(each.opened.p50_ms)} | {milliseconds(each.opened.p99_ms)} | "
            f"{each.hit_rate:.2%} | under {milliseconds(each.hop_p99_ms)} ms | "
            f"{'kept' if _kept(each) else 'MISSED'} |"
            for each in found
        ),
    ]


def _kept(found: AtRate) -> bool:
    return found.hit_rate > ENOUGH_HITS and found.hop_p99_ms <= ENOUGH_HOP_MS
