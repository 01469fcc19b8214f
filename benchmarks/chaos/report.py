"""What a campaign found: a table for people, and all of it as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.chaos.audit import Line
from benchmarks.chaos.books import Books
from benchmarks.chaos.campaign import Effect
from benchmarks.chaos.outages import Outages

MOST_WRONG_SHOWN = 200


def show(console: Console, lines: Sequence[Line], books: Books) -> None:
    table = Table("promise", "found", "at most", "", "")
    for line in lines:
        verdict = "kept" if line.kept else "[red]broken[/red]"
        table.add_row(line.name, f"{line.found:g}", f"{line.allowed:g}", verdict, line.of)
    console.print(table)
    console.print(
        f"{books.sent.total():,} requests sent, {books.answered.total():,} answered "
        f"({books.degraded.total():,} degraded), {books.later.total():,} asked to come back, "
        f"{books.broken.total():,} connections that broke"
    )


def write(
    path: Path,
    head: dict[str, Any],
    lines: Sequence[Line],
    effects: Sequence[Effect],
    books: Books,
    outages: Outages,
) -> None:
    report = head | {
        "lines": [asdict(line) | {"kept": line.kept} for line in lines],
        "steps": [asdict(effect) for effect in effects],
        "requests": {
            name: dict(getattr(books, name))
            for name in ("sent", "answered", "degraded", "later", "broken", "slowest")
        },
        "wrong": [asdict(noted) for noted in books.wrong[:MOST_WRONG_SHOWN]],
        "outages": [asdict(outage) for outage in outages.all],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
