"""Prints what the messages of a topic hold, and what they lack."""

from datetime import UTC, datetime

import numpy as np
from rich.console import Console
from rich.table import Table

from features.sources.prometheus.proposed import METRICS
from features.telemetry.columns import Telemetry
from launch.sources.change import where
from launch.sources.consequences import follows
from launch.sources.gathered_text import complaint_lines
from launch.sources.kafka_topic import TopicSample, given_metrics, summary
from launch.sources.proposal_text import columns, plain_console, printable

SHOWN_ROWS = 8


def show(looked: TopicSample) -> None:
    console: Console = plain_console()
    rows = looked.found.telemetry
    console.print(f"{where(looked.source)}, {looked.source.format}: ", end="")
    console.print(printable(summary(looked.sample, looked.found)))
    given = given_metrics(rows)
    if given:
        console.print()
        console.print(_metrics(rows, given))
        console.print()
        console.print(_sample(rows, given))
        console.print()
        console.print(_lacking(given))
    for line in complaint_lines(looked.found.complaints):
        console.print(printable(line))


def _metrics(rows: Telemetry, given: list[str]) -> Table:
    table = columns("metric", "rows", "from", "to")
    for name in given:
        values = rows.columns()[name]
        measured = values[np.isfinite(values)]
        share = f"{len(measured) / len(values):.0%}"
        table.add_row(name, share, f"{measured.min():.4g}", f"{measured.max():.4g}")
    return table


def _sample(rows: Telemetry, given: list[str]) -> Table:
    table = columns("entity", "interval", *given)
    for at in np.argsort(rows.ts, kind="stable")[-SHOWN_ROWS:].tolist():
        begins = datetime.fromtimestamp(int(rows.ts[at]), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        values = (float(rows.columns()[name][at]) for name in given)
        shown = ("" if np.isnan(value) else f"{value:.4g}" for value in values)
        table.add_row(printable(str(rows.entity[at])), begins, *shown)
    return table


def _lacking(given: list[str]) -> Table:
    table = columns("missing", "without it")
    for name in METRICS:
        if name not in given:
            table.add_row(name, follows(name, given))
    return table
