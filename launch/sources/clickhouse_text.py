"""Prints which columns a table has, what they would be used for, and what they give."""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np
from rich.table import Table

from features.sources.clickhouse.names import SUCH_AS
from features.sources.clickhouse.proposal import TableProposal
from features.sources.clickhouse.rules import (
    Aggregate,
    Condition,
    Counted,
    GaugeOf,
    QuantileOf,
    RateOf,
    RatioOf,
    Share,
)
from features.sources.clickhouse.statement import statement_of
from launch.sources.consequences import follows
from launch.sources.gathered_text import complaint_lines, entities_of
from launch.sources.proposal_text import columns, few, plain_console, printable

SAMPLE_ROWS = 8


def show(proposal: TableProposal) -> None:
    console = plain_console()
    for line in _found(proposal):
        console.print(printable(line))
    console.print(_used(proposal))
    console.print("\nIt is asked with this SQL, which only reads:\n")
    console.print(printable(statement_of(proposal.rules).sql))
    console.print("\nThe newest rows that it gives:\n")
    console.print(_sample(proposal))
    for line in _lacking(proposal):
        console.print(printable(line))


def _found(proposal: TableProposal) -> Iterable[str]:
    used, names = proposal.used, entities_of(proposal.sample.telemetry)
    layout = f" ({used.layout})" if used.layout else ""
    yield (
        f"{used.table.full_name}{layout} has {proposal.rows} rows from {_utc(proposal.oldest)} to "
        f"{_utc(proposal.newest)}."
    )
    yield (
        f"The time is {used.time.name} ({used.time.type}), a service is named by {used.entity}: "
        f"{few(tuple(names)) or 'none in the newest intervals'}."
    )
    if used.series:
        yield f"Series of a service are told apart by {', '.join(used.series)}."
    if proposal.others:
        yield f"Other tables may be of use too, with --table: {few(proposal.others)}."
    yield ""


def _used(proposal: TableProposal) -> Table:
    shown = columns("metric", "rows with it", "made of")
    rows = proposal.sample.telemetry
    for use in proposal.used.uses:
        values = rows.columns()[use.metric]
        share = f"{np.isfinite(values).mean():.0%}" if len(rows) else "none now"
        caveat = f"\n  {use.caveat}" if use.caveat else ""
        shown.add_row(use.metric, share, printable(f"{described(use.aggregate)}{caveat}"))
    return shown


def described(aggregate: Aggregate) -> str:
    """Say in a few words what a metric is made of."""
    match aggregate:
        case Counted():
            return "rows, a second"
        case Share(where=where):
            return f"the share of rows with {' and '.join(map(_condition, where))}"
        case QuantileOf(column=column, level=level, times=times):
            return f"the {level:g} quantile of {column}{_times(times)}"
        case RateOf(column=column, times=times):
            return f"the sum of {column}{_times(times)}, a second"
        case RatioOf(column=column, by=by, times=times):
            return f"{column} by {by}{_times(times)}"
        case GaugeOf(column=column, over=over, times=times):
            return f"{column}{_times(times)} ({over} of a service's series)"


def _condition(each: Condition) -> str:
    value = ", ".join(map(str, each.value)) if isinstance(each.value, tuple) else str(each.value)
    return f"{each.column} {each.op} {value}"


def _times(times: float) -> str:
    return "" if times == 1.0 else f" x {times:g}"


def _sample(proposal: TableProposal) -> Table:
    metrics = [use.metric for use in proposal.used.uses]
    shown = columns("time", "service", *metrics)
    rows = proposal.sample.telemetry
    newest = np.argsort(rows.ts, kind="stable")[::-1][:SAMPLE_ROWS]
    for row in newest.tolist():
        values = (float(rows.columns()[metric][row]) for metric in metrics)
        numbers = ("-" if np.isnan(value) else f"{value:.4g}" for value in values)
        shown.add_row(_utc(int(rows.ts[row])), printable(str(rows.entity[row])), *numbers)
    return shown


def _lacking(proposal: TableProposal) -> Iterable[str]:
    there = set(proposal.rules.metrics)
    yield ""
    yield from complaint_lines(proposal.sample.complaints)
    if proposal.used.without_unit:
        yield (
            f"The names of {', '.join(proposal.used.without_unit)} do not say their unit: give "
            "--latency-unit."
        )
    for metric in proposal.missing:
        yield f"Without {metric}: {follows(metric, there)}. {SUCH_AS[metric]} would give it."


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
