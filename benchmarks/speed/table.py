"""The report as tables: for the terminal, and in Markdown for the README."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.speed.promises import promises
from benchmarks.speed.results import Hop, OpenRun, Report, Run

CLOSED_HEAD = ("server", "variant", "clients", "rps", "p50 ms", "p99 ms", "p99.9 ms", "errors")
OPEN_HEAD = ("server", "variant", "rps asked", "answered", "p50 ms", "p99 ms", "p99.9 ms", "errors")
HOP_HEAD = ("clients", "metric", "labels", "calls", "mean ms")
PROMISE_HEAD = ("promise", "measured", "bound", "")
Cells = Sequence[str]


def show(report: Report, console: Console) -> None:
    closed = [closed_cells(run) for run in report.figures]
    _print(console, "Closed loop: wrk, medians of the rounds", CLOSED_HEAD, closed)
    trials = [closed_cells(run) for run in report.trials]
    _print(console, "How each variant did in one short run", CLOSED_HEAD, trials)
    _print(console, "Open loop", OPEN_HEAD, [open_cells(run) for run in report.open_runs])
    _print(console, "What each hop of Ballast costs", HOP_HEAD, [hop_cells(h) for h in report.hops])
    _print(console, "Promises", PROMISE_HEAD, promise_cells(report))
    for note in report.notes:
        console.print(f"note: {note}", markup=False)


def _print(console: Console, title: str, head: Cells, rows: Sequence[Cells]) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for name in head:
        text = name in {"server", "variant", "metric", "labels", "promise", ""}
        table.add_column(name, justify="left" if text else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def closed_cells(run: Run) -> Cells:
    closed = run.closed
    return (
        run.contender,
        run.variant,
        str(run.clients),
        f"{closed.rps:,.0f}",
        *(milliseconds(value) for value in (closed.p50_ms, closed.p99_ms, closed.p999_ms)),
        str(closed.non_2xx + closed.socket_errors),
    )


def open_cells(run: OpenRun) -> Cells:
    opened = run.opened
    return (
        run.contender,
        run.variant,
        f"{run.rate:g}",
        f"{opened.ok:,} of {opened.offered:,}",
        *(milliseconds(value) for value in (opened.p50_ms, opened.p99_ms, opened.p999_ms)),
        str(opened.non_2xx + opened.lost),
    )


def hop_cells(hop: Hop) -> Cells:
    return (str(hop.clients), hop.metric, hop.labels, f"{hop.calls:,.0f}", f"{hop.mean_ms:.3f}")


def promise_cells(report: Report) -> list[Cells]:
    return [
        (
            promise.text,
            f"{promise.measured:.2f}",
            f"{'at least' if promise.at_least else 'under'} {promise.bound:.2f}",
            "kept" if promise.kept else "MISSED",
        )
        for promise in promises(report)
    ]


def milliseconds(value: float) -> str:
    """Three figures are all that a noisy machine can tell."""
    decimals = max(0, 2 - int(math.log10(value))) if value >= 1 else 2
    return f"{value:,.{decimals}f}"


def markdown(report: Report) -> str:
    """One row a server, one column a number of clients: requests a second (p50 / p99 in ms)."""
    figures = {(run.contender, run.variant, run.clients): run for run in report.figures}
    clients = sorted({run.clients for run in report.figures})
    servers = list(dict.fromkeys((run.contender, run.variant) for run in report.figures))
    lines = [
        "| server | " + " | ".join(_clients(count) for count in clients) + " |",
        "|---|" + "---:|" * len(clients),
    ]
    for name, variant in servers:
        cells = (figures.get((name, variant, count)) for count in clients)
        lines.append(f"| {name}, {variant} | " + " | ".join(map(_markdown_cell, cells)) + " |")
    return "\n".join(lines) + "\n"


def _clients(count: int) -> str:
    return "1 client" if count == 1 else f"{count} clients"


def _markdown_cell(run: Run | None) -> str:
    if run is None:
        return ""
    closed = run.closed
    return f"{closed.rps:,.0f} ({milliseconds(closed.p50_ms)} / {milliseconds(closed.p99_ms)})"
