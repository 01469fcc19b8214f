from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.abuse import run
from benchmarks.abuse.scenario import Figures, Scenario
from benchmarks.platform import Platform

PLATFORM = Platform(Path("nowhere"), "http://127.0.0.1:1")


def measured(_: Platform) -> Figures:
    return {"p99 of others, ms": 12.0}


def failing(_: Platform) -> Figures:
    raise OSError("nobody listens")


def text_of(before: run.Report, after: run.Report) -> list[str]:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(run.table(before, after))
    return captured.get().splitlines()


def cells(lines: list[str], figure: str) -> list[str]:
    (line,) = [each for each in lines if figure in each]
    return [cell.strip() for cell in line.strip("│").split("│")]


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "REST_SECONDS", 0.0)


def test_a_scenario_that_fails_leaves_the_others_their_figures() -> None:
    scenarios = [Scenario("a", "", failing), Scenario("b", "", measured)]
    found = run.measure_all(PLATFORM, scenarios, Console(quiet=True))
    assert found == {"a": {}, "b": {"p99 of others, ms": 12.0}}


def test_figures_of_two_releases_stand_side_by_side() -> None:
    lines = text_of({"b": {"p99, ms": 120.0}}, {"b": {"p99, ms": 12.0, "new": 3.0}})
    assert cells(lines, "p99, ms") == ["b", "p99, ms", "120", "12", "0.1"]
    assert cells(lines, "new") == ["b", "new", "", "3", ""]


def test_a_failure_is_shown_as_one() -> None:
    assert any("failed" in line for line in text_of({}, {"a": {}}))
