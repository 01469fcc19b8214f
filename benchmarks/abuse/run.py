"""Abuse a platform of one's own, and print what it did to others: `make abuse`.

    python -m benchmarks.abuse.run
    python -m benchmarks.abuse.run --before before.json     beside the figures of another release

Every scenario starts on a platform that has come to rest; a scenario that fails is shown as failed,
and the others go on. Exit code 1 when one failed.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.abuse.scenario import NAMES, Figures, Scenario, scenario
from benchmarks.platform import ROOT, Platform, free_url

HISTORY_DAYS = 14
REST_SECONDS = 5.0

Report = dict[str, Figures]


def measure_all(platform: Platform, scenarios: Iterable[Scenario], console: Console) -> Report:
    """Run one after the other; one that fails leaves no figures."""
    found: Report = {}
    for each in scenarios:
        console.print(f"{each.name}: {each.about}")
        time.sleep(REST_SECONDS)
        try:
            found[each.name] = each.measure(platform)
        except Exception:  # noqa: BLE001 - whatever it was, the others are measured
            console.print(traceback.format_exc())
            found[each.name] = {}
    return found


def table(before: Report, after: Report) -> Table:
    """Put the figures of two releases side by side."""
    shown = Table("scenario", "figure", "before", "after", "ratio")
    for name, figures in after.items():
        for figure, value in figures.items():
            was = before.get(name, {}).get(figure)
            ratio = f"{value / was:.3g}" if was else ""
            shown.add_row(name, figure, "" if was is None else f"{was:g}", f"{value:g}", ratio)
        if not figures:
            shown.add_row(name, "[red]failed[/red]", "", "", "")
    return shown


def main() -> int:
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    platform = Platform(options.home.resolve(), options.url or free_url(), HISTORY_DAYS)
    try:
        up = platform.up()
        if up.returncode != 0:
            raise SystemExit(up.stdout + up.stderr)
        found = measure_all(platform, map(scenario, options.only or NAMES), console)
    finally:
        platform.down()
    before: Report = orjson.loads(options.before.read_bytes()) if options.before else {}
    console.print(table(before, found))
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    console.print(f"Written to {options.report}; give it as --before to a later release.")
    return 0 if all(found.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", choices=NAMES, help="one scenario; repeatable")
    parser.add_argument("--before", type=Path, help="the report of another release")
    parser.add_argument("--report", type=Path, default=ROOT / ".bench" / "abuse.json")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "abuse-home")
    parser.add_argument("--url", help="a free address on loopback where left out")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
