"""Prints what an upstream's candles give, and what they lack."""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
from rich.table import Table

from features.sources.candles.rules import TIMEFRAMES, CandleRule
from features.sources.prometheus.proposed import METRICS
from launch.sources.candles_upstream import CandlesSeen
from launch.sources.consequences import follows
from launch.sources.gathered_text import complaint_lines
from launch.sources.proposal_text import columns, few, plain_console, printable

SHOWN_ROWS = 8


def show(looked: CandlesSeen, url: str) -> None:
    console = plain_console()
    for line in _found(looked, url):
        console.print(printable(line))
    console.print(_used(looked))
    console.print("\nThe newest rows that they give:\n")
    console.print(_sample(looked))
    console.print()
    console.print(_lacking(looked))
    for line in complaint_lines(looked.sample.complaints):
        console.print(printable(line))


def _found(looked: CandlesSeen, url: str) -> Iterable[str]:
    source, asked = looked.source, looked.source.mapping.asked
    yield (
        f"{url} has candles of {len(source.symbols)} "
        f"{'symbol' if len(source.symbols) == 1 else 'symbols'}: {few(source.symbols)}."
    )
    yield (
        f"Each is asked for with {asked.symbol}, {asked.timeframe}="
        f"{TIMEFRAMES[source.cadence_seconds]}, {asked.start} and {asked.stop}, and becomes an "
        "entity."
    )
    yield ""


def _used(looked: CandlesSeen) -> Table:
    shown, rows = columns("metric", "rows with it", "made of"), looked.sample.telemetry
    for metric, rule in looked.source.mapping.metrics.items():
        values = rows.columns()[metric]
        share = f"{np.isfinite(values).mean():.0%}" if len(rows) else "none now"
        shown.add_row(metric, share, _described(rule))
    return shown


def _described(rule: CandleRule) -> str:
    times = "" if rule.times == 1.0 else f" x {rule.times:g}"
    return f"{rule.field}{times}{', a second' if rule.kind == 'per_second' else ''}"


def _sample(looked: CandlesSeen) -> Table:
    metrics, rows = list(looked.source.mapping.metrics), looked.sample.telemetry
    shown = columns("time", "symbol", *metrics)
    newest = np.argsort(rows.ts, kind="stable")[::-1][:SHOWN_ROWS]
    for row in newest.tolist():
        begins = datetime.fromtimestamp(int(rows.ts[row]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = (float(rows.columns()[metric][row]) for metric in metrics)
        numbers = ("-" if np.isnan(value) else f"{value:.4g}" for value in values)
        shown.add_row(begins, printable(str(rows.entity[row])), *numbers)
    return shown


def _lacking(looked: CandlesSeen) -> Table:
    given, table = looked.source.mapping.metrics, columns("missing", "without it")
    for name in METRICS:
        if name not in given:
            table.add_row(name, follows(name, given))
    return table
