import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from benchmarks.speed.openloop import OpenLoop
from benchmarks.speed.results import Hop, OpenRun, Report, Run
from benchmarks.speed.table import markdown, milliseconds, show


@pytest.fixture
def report(runs: list[Run]) -> Report:
    opened = OpenLoop(2000, 1990, 7, 3, 2.5, 61.0, 99.0, 120.0, 0.1, 0.4)
    return Report(
        started=datetime(2026, 1, 2, tzinfo=UTC),
        machine={"cores": "2"},
        settings={},
        notes=["Ballast stayed up"],
        runs=runs,
        open_runs=[OpenRun("ballast", "whole DAG", 200, opened)],
        hops=[Hop(64, "lane_stage_seconds", "stage=safety", 1234, 0.51234)],
    )


def render(report: Report) -> str:
    page = io.StringIO()
    show(report, Console(file=page, width=140))
    return page.getvalue()


def row_with(page: str, *parts: str) -> str:
    rows = [line for line in page.splitlines() if all(part in line for part in parts)]
    assert len(rows) == 1, rows
    return rows[0]


def test_each_server_has_its_row(report: Report) -> None:
    cells = [cell.strip() for cell in row_with(render(report), "│ mlserver", " 64 ").split("│")]
    expected = ["mlserver", "default", "64", "1,780", "2.00", "20.0", "40.0", "0"]
    assert cells[1:-1] == expected


def test_open_loop_counts_what_was_refused_and_what_was_lost(report: Report) -> None:
    row = row_with(render(report), "1,990 of 2,000")
    assert row.split("│")[-2].strip() == "10"


def test_hops_are_shown_in_milliseconds(report: Report) -> None:
    assert "0.512" in row_with(render(report), "stage=safety", "1,234")


def test_promises_say_whether_they_were_kept(report: Report) -> None:
    page = render(report)
    assert "kept" in row_with(page, "multiple of mlserver's", "2.25")
    assert "MISSED" in row_with(page, "p99 at 200 requests a second", "61.00", "60.00")


def test_notes_stand_below(report: Report) -> None:
    assert "note: Ballast stayed up" in render(report)


def test_nothing_measured_prints_no_empty_table() -> None:
    assert render(Report(datetime(2026, 1, 2, tzinfo=UTC), {}, {})) == ""


def test_markdown_has_a_row_a_server_and_a_column_a_count(report: Report) -> None:
    assert markdown(report).splitlines() == [
        "| server | 1 client | 64 clients |",
        "|---|---:|---:|",
        "| ballast, default | 400 (2.00 / 20.0) | 4,000 (2.00 / 20.0) |",
        "| litserve, default | 176 (2.00 / 20.0) | 1,760 (2.00 / 20.0) |",
        "| mlserver, default | 178 (2.00 / 20.0) | 1,780 (2.00 / 20.0) |",
        "| bentoml, default | 70 (2.00 / 20.0) | 700 (2.00 / 20.0) |",
        "| plain, default | 300 (2.00 / 20.0) | 3,000 (2.00 / 20.0) |",
    ]


def test_a_count_that_a_server_was_not_measured_at_stays_empty(report: Report) -> None:
    report.runs = [run for run in report.runs if (run.contender, run.clients) != ("plain", 1)]
    assert markdown(report).splitlines()[-1] == "| plain, default |  | 3,000 (2.00 / 20.0) |"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0754, "0.08"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.5, "1,234")],
)
def test_milliseconds_have_three_figures(value: float, text: str) -> None:
    assert milliseconds(value) == text
