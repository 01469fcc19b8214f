"""What docs/runbook.md says that the platform says, it says; what it has one watch, is there."""

import re
from collections.abc import Iterable
from typing import get_args

from deployments.api.config_steering import State
from tests.surface.source import REPOSITORY, product, strings
from tests.surface.test_metrics import exported_names

PAGE = (REPOSITORY / "docs/runbook.md").read_text()
# Those of the loops, which are exported of each one that runs.
OF_LOOPS = {"background_last_success_age_seconds", "background_failures_total"}


def first_column(text: str, head: str) -> list[str]:
    """Give the first cells of every table whose first column is called so."""
    tables = re.findall(rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)*)", text, re.MULTILINE)
    return re.findall(r"^\| (.*?) \|", "".join(tables), re.MULTILINE)


def quoted(cells: Iterable[str]) -> list[str]:
    return [each for cell in cells for each in re.findall(r"`([^`]+)`", cell)]


def test_every_state_is_explained() -> None:
    assert set(quoted(first_column(PAGE, "state"))) == set(get_args(State))


def test_every_sentence_that_it_explains_is_said() -> None:
    said = set(strings(product(rooms=("config_store", "deployments", "launch", "models"))))
    sentences = quoted(first_column(PAGE, "it says"))
    assert len(sentences) > 20
    assert [each for each in sentences if not any(each in part for part in said)] == []


def test_every_metric_and_loop_that_it_has_one_watch_is_there() -> None:
    cells = quoted(first_column(PAGE, "ring when"))
    names = {each.partition("{")[0] for each in cells}
    assert len(names) > 8
    assert names <= exported_names() | OF_LOOPS
    loops = {each for cell in cells for each in re.findall(r'loop="([^"]+)"', cell)}
    assert loops <= set(strings(product(rooms=("deployments",))))


def test_planted_ones_are_found() -> None:
    page = (
        "| state | do |\n|---|---|\n| `gone` | x |\n| `here`, or `there` | y |\n\n| other | z |\n"
    )
    assert quoted(first_column(page, "state")) == ["gone", "here", "there"]
