"""How the scripts of this folder read their one option, take medians, and print what they found."""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

WIDTH = 110  # of the tables in a log, which has no width of its own


def is_quick(description: str | None) -> bool:
    """Read the command line: --quick says that a rough figure will do."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="less of everything: rough figures")
    return bool(parser.parse_args().quick)


def median_us(work: Callable[[], object], calls: int) -> float:
    """Take the median time of a call, in microseconds: a busy machine shows only in the rest."""
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def quantile_ms(seconds: Sequence[float], level: float) -> float:
    """Read a quantile off measured times, in milliseconds."""
    risen = sorted(seconds)
    return risen[min(int(len(risen) * level), len(risen) - 1)] * 1e3


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: names to the left, figures to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"\n{title}", markup=False)
    console.print(table)
