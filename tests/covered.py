"""What the unit tests run through: `make coverage` counts it, `make test` shows what it counted.

`python -m tests.covered REPORT` reads the JSON report of coverage.py, writes the page in
docs/measured and fails below the floor. `--part` shows a report of some tests only. Without a
report the page is shown.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.surface.source import REPOSITORY, ROOMS

PAGE = REPOSITORY / "docs/measured/coverage.md"
# Of all lines and branches of the product together.
FLOOR_PERCENT = 90.0
# What is to be run through wholly: a mistake there shows only on the day when it is needed.
WHOLE: Mapping[str, tuple[str, ...]] = {
    "loading of models": (
        "config_store/shared_loads.py",
        "deployments/forecasting/loaded_models.py",
        "deployments/runtime/champions.py",
        "deployments/runtime/stage.py",
        "models/pointer.py",
        "models/tail/artifact.py",
    ),
    "rollback": (
        "config_store/steering/rollouts/switches.py",
        "config_store/steering/transitions.py",
    ),
    "drift": (
        "config_store/drift_record.py",
        "deployments/gateway/steering/drift.py",
        "safety/drift.py",
    ),
    "validation of features": (
        "features/sources/bounds.py",
        "features/sources/checks.py",
        "safety/possible.py",
    ),
}
MEASURED_AT = re.compile(r"^Measured at commit `([0-9a-f]+)`", re.MULTILINE)
PAGE_TEXT = """\
# What the unit tests run through

Measured at commit `{commit}`{changed} by `make coverage`: lines and branches of the product that
the unit tests run through, in their own processes and in those that they start. The suites that
need a running platform (`make live`, `make sources`, `make cluster`) are not counted: Ray ends its
workers so that they can write nothing down. Kernels that are compiled to machine code cannot be
followed; their {left_out:,} lines are left out.

{rooms}
At least {floor:.0f} % of all lines and branches together: {percent:.1f} %.

These are to be run through wholly:

{whole}"""


@dataclass(slots=True)
class Count:
    """How many lines and branches there are, and how many were run through."""

    lines: int = 0
    lines_run: int = 0
    branches: int = 0
    branches_run: int = 0
    left_out: int = 0
    missing: list[str] = field(default_factory=list)

    def add(self, name: str, found: Mapping[str, Any]) -> Self:
        summary = found["summary"]
        self.lines += summary["num_statements"]
        self.lines_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_run += summary["covered_branches"]
        self.left_out += summary["excluded_lines"]
        self.missing += [f"{name}:{line}" for line in found["missing_lines"]]
        return self

    @property
    def percent(self) -> float:
        """Give the share of lines and branches together, as coverage.py does."""
        return percent(self.lines_run + self.branches_run, self.lines + self.branches)

    @property
    def cells(self) -> str:
        return f"{_cell(self.lines_run, self.lines)} | {_cell(self.branches_run, self.branches)}"


def percent(run: int, there: int) -> float:
    return 100.0 * run / there if there else 100.0


def _cell(run: int, there: int) -> str:
    # Rounded down: 99.96 % is not all.
    return f"{int(10 * percent(run, there)) / 10:.1f} % of {there:,}"


class Coverage:
    """A report of coverage.py, by room."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        self.files: Mapping[str, Any] = report["files"]
        self.by_room = {room: self._count(self._within(f"{room}/")) for room in ROOMS}
        self.all = self._count(name for room in ROOMS for name in self._within(f"{room}/"))
        self.whole = {part: self._count(names) for part, names in WHOLE.items()}

    @property
    def faults(self) -> list[str]:
        """Say what is below the floor, and which lines nobody ran that somebody has to."""
        found = []
        if self.all.percent < FLOOR_PERCENT:
            found.append(
                f"{self.all.percent:.1f} % of lines and branches are run through by unit tests: "
                f"at least {FLOOR_PERCENT:.0f} % have to be"
            )
        found.extend(
            f"{part}: no unit test runs through {', '.join(count.missing)}"
            for part, count in self.whole.items()
            if count.missing
        )
        return found

    @property
    def rooms(self) -> str:
        """Give the table by room, the one that is covered least first."""
        counted = {room: count for room, count in self.by_room.items() if count.lines}
        ordered = sorted(counted.items(), key=lambda each: each[1].percent)
        rows = [f"| `{room}/` | {count.cells} |\n" for room, count in ordered]
        return f"{_head('room')}{''.join(rows)}| all | {self.all.cells} |\n"

    @property
    def whole_parts(self) -> str:
        return _head("part") + "".join(
            f"| {part} | {count.cells} |\n" for part, count in self.whole.items()
        )

    def page(self, commit: str, *, changed: bool) -> str:
        return PAGE_TEXT.format(
            commit=commit,
            changed=" with changes on top" if changed else "",
            left_out=self.all.left_out,
            rooms=self.rooms,
            floor=FLOOR_PERCENT,
            percent=int(10 * self.all.percent) / 10,
            whole=self.whole_parts,
        )

    def _within(self, folder: str) -> list[str]:
        return [name for name in self.files if name.startswith(folder)]

    def _count(self, names: Iterable[str]) -> Count:
        count = Count()
        for name in names:
            if name in self.files:
                count.add(name, self.files[name])
            else:
                count.missing.append(f"{name} (of which the report says nothing)")
        return count


def _head(first: str) -> str:
    return f"| {first} | lines | branches |\n|---|---:|---:|\n"


def shown(page: Path = PAGE) -> str:
    """Give the tables of the last measurement, and how old it is."""
    if not page.exists():
        return "What the unit tests cover has not been measured yet: make coverage"
    text = page.read_text()
    at = MEASURED_AT.search(text)
    if at is None:
        return f"{page} does not say at which commit it was measured: make coverage"
    since = git("rev-list", "--count", f"{at[1]}..HEAD")
    age = f"{since} commits ago" if since else "which this clone does not have"
    tables = "".join(line for line in text.splitlines(keepends=True) if line.startswith("|"))
    return f"What the unit tests cover, measured at {at[1]}, {age} (make coverage):\n{tables}"


def git(*words: str) -> str:
    """Give what git says, or nothing where it does not know."""
    command = ["git", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("report", nargs="?", type=Path)
    arguments.add_argument("--part", action="store_true")
    given = arguments.parse_args()
    if given.report is None:
        say(shown())
        return 0
    coverage = Coverage(json.loads(given.report.read_text()))
    if given.part:
        say(coverage.rooms)
        return 0
    changed = git("status", "--porcelain", "--", *ROOMS, "tests") != ""
    PAGE.write_text(coverage.page(git("rev-parse", "--short", "HEAD"), changed=changed))
    say(coverage.rooms, coverage.whole_parts, *coverage.faults)
    return 1 if coverage.faults else 0


def say(*texts: str) -> None:
    sys.stdout.write("".join(f"{text}\n" for text in texts))


if __name__ == "__main__":
    sys.exit(main())
