"""What `make coverage` says, of what coverage.py counted in a small product."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.covered import FLOOR_PERCENT, MEASURED_AT, PAGE, WHOLE, Coverage, shown
from tests.surface.source import REPOSITORY, ROOMS

SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["coverage"]
MODULE = """\
def compiled(function):
    return function


def sign(number):
    if number < 0:
        return -1
    return 1


@compiled
def kernel(number):
    total = 0
    for each in range(number):
        total += each
    return total
"""
# Six lines of MODULE that a process can run; the first branch of `sign`, and none of the kernel.
RUN = "from access.small import sign\nassert sign(-2) == -1\n"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Count a small product as `make coverage` does, with the same lines left out."""
    here = tmp_path_factory.mktemp("product")
    (here / "access").mkdir()
    (here / "access/__init__.py").touch()
    (here / "access/small.py").write_text(MODULE)
    (here / "run.py").write_text(RUN)
    left_out = "\n    ".join(SETTINGS["report"]["exclude_also"])
    (here / ".coveragerc").write_text(
        f"[run]\nbranch = true\nsource = access\n[report]\nexclude_also =\n    {left_out}\n"
    )
    # These tests may be counted themselves.
    alone = {name: each for name, each in os.environ.items() if not name.startswith("COVERAGE_")}
    for words in (["run", "run.py"], ["json", "-o", "report.json"]):
        command = [sys.executable, "-m", "coverage", *words]
        subprocess.run(command, cwd=here, env=alone, check=True, capture_output=True)
    found: dict[str, Any] = json.loads((here / "report.json").read_text())
    return found


def test_lines_and_branches_are_counted_without_kernels(report: dict[str, Any]) -> None:
    count = Coverage(report).all
    assert (count.lines_run, count.lines) == (5, 6)
    assert (count.branches_run, count.branches) == (1, 2)
    assert count.left_out >= 5
    assert count.missing == ["access/small.py:8"]


def test_too_little_and_a_part_that_nobody_runs_are_faults(report: dict[str, Any]) -> None:
    faults = Coverage(report).faults
    assert faults[0].startswith("75.0 % of lines and branches")
    assert any("safety/drift.py" in fault for fault in faults)


def test_a_line_of_what_is_to_be_run_wholly_is_named(report: dict[str, Any]) -> None:
    files = dict.fromkeys(WHOLE["drift"], report["files"]["access/small.py"])
    faults = Coverage({"files": files}).faults
    (drift,) = (fault for fault in faults if fault.startswith("drift"))
    assert "safety/drift.py:8" in drift


def test_all_of_it_is_no_fault(report: dict[str, Any]) -> None:
    whole = report["files"]["access/small.py"]
    summary = whole["summary"]
    run = summary | {
        "covered_lines": summary["num_statements"],
        "covered_branches": summary["num_branches"],
    }
    names = ["access/small.py", *(name for names in WHOLE.values() for name in names)]
    files = {name: whole | {"summary": run, "missing_lines": []} for name in names}
    assert Coverage({"files": files}).faults == []


def test_the_table_is_shown_with_its_commit(report: dict[str, Any], tmp_path: Path) -> None:
    page = tmp_path / "coverage.md"
    page.write_text(Coverage(report).page("0123abc", changed=False))
    text = shown(page)
    assert "measured at 0123abc, which this clone does not have" in text
    assert "| `access/` | 83.3 % of 6 | 50.0 % of 2 |" in text
    assert "make coverage" in shown(tmp_path / "not-measured.md")


def test_what_is_counted_is_the_product() -> None:
    assert set(SETTINGS["run"]["source"]) == set(ROOMS)
    for names in WHOLE.values():
        for name in names:
            assert (REPOSITORY / name).is_file(), name


@pytest.mark.skipif(not PAGE.exists(), reason="not measured yet")
def test_the_page_names_its_commit_every_room_and_no_less_than_the_floor() -> None:
    text = PAGE.read_text()
    assert MEASURED_AT.search(text)
    for room in ROOMS:
        assert f"\n| `{room}/` | " in text
    said = text.partition("of all lines and branches together: ")[2].partition(" %")[0]
    assert float(said) >= FLOOR_PERCENT
