"""Holds the models against published figures: `python -m benchmarks.quality.run --data DIR`."""

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

# Each is a module of this folder with run(data_dir) -> rows, and needs the data folders named.
BENCHES = {
    "forecasting": ("forecasting",),
    "extremes": ("extremes",),
    "conformal": ("conformal",),
    "bandits": ("bandits",),
    "optimization": ("optimization",),
    "optimization_peers": ("optimization",),
    "changepoints": ("changepoints",),
    "anomaly": ("anomaly",),
    "telemetry": ("telemetry",),
    "hours_ahead": (),
    "local_methods": ("forecasting",),
}


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 130)
    if not options.data.is_dir():
        console.print(
            f"There is no data at {options.data}: this bench needs the folders of published data "
            "sets, which are no part of the project. Name them: make quality DATA=dir"
        )
        return 2
    chosen = options.only or [name for name in BENCHES if _exists(name)]
    missed = 0
    for name in chosen:
        missed += _run(name, options.data, console)
    console.print(f"{missed} figures fall short" if missed else "Every figure is met")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--only", action="append", choices=list(BENCHES), help="just this one")
    return parser.parse_args(arguments)


def _exists(name: str) -> bool:
    return (Path(__file__).parent / f"{name}.py").is_file()


def _run(name: str, data: Path, console: Console) -> int:
    """Run one bench, show its rows, and count those that fall short."""
    absent = [folder for folder in BENCHES[name] if not (data / folder).is_dir()]
    if absent:
        console.print(f"[yellow]{name}: no folder {', '.join(absent)} in {data}, passed over")
        return 0
    started = time.monotonic()
    with console.status(f"{name} ..."):
        rows: list[Any] = importlib.import_module(f"benchmarks.quality.{name}").run(data)
    console.print(_table(name, rows, time.monotonic() - started))
    return sum(not row.met for row in rows)


def _table(name: str, rows: list[Any], took: float) -> Table:
    table = Table(title=f"{name} ({took:.0f} s)", title_justify="left")
    table.add_column("what")
    for column in ("ours", "published"):
        table.add_column(column, justify="right")
    table.add_column("source")
    table.add_column("met")
    for row in rows:
        met = "[green]yes" if row.met else "[red]no"
        table.add_row(row.what, f"{row.ours:.6g}", f"{row.published:.6g}", row.source, met)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
