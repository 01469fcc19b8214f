"""What the documents name is there: variables of the environment, metrics, pages of decisions."""

import re

from settings.aliases import ALIASES
from settings.names import FOR_CLIENTS, NOT_FOR_USERS, VARIABLES
from tests.surface.source import REPOSITORY
from tests.surface.test_metrics import exported_names

PAGES = (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md")))
DECISIONS = REPOSITORY / "docs/decisions"
# Names of ours and of the engines that may be named: other programs have their own.
_VARIABLE = re.compile(r"\b(?:BALLAST_|REDIS_URL|CLICKHOUSE_|MLFLOW_|PROMETHEUS_)[A-Z_]*\b")
# The ends that our metrics' names have; what others export is in the pages on sources.
_METRIC = re.compile(
    r"\b(?:ballast|remote_write|telemetry|ledger|lane|quota|state)_[a-z_]*_total\b"
)


def variables(text: str) -> set[str]:
    return set(_VARIABLE.findall(text))


def metrics(text: str) -> set[str]:
    return set(_METRIC.findall(text))


def linked(index: str) -> set[str]:
    return set(re.findall(r"\]\(([a-z0-9-]+\.md)\)", index))


def test_every_variable_that_is_named_is_read() -> None:
    older = {name for alias in ALIASES for name in alias.older}
    known = VARIABLES.keys() | NOT_FOR_USERS | FOR_CLIENTS | older
    unknown = {page.name: variables(page.read_text()) - known for page in PAGES}
    assert {name: found for name, found in unknown.items() if found} == {}


def test_every_variable_of_the_examples_is_on_the_page_of_settings() -> None:
    assert variables((REPOSITORY / "docs/settings.md").read_text()) >= FOR_CLIENTS


def test_every_metric_of_ours_that_is_named_is_exported() -> None:
    exported = exported_names()
    unknown = {page.name: metrics(page.read_text()) - exported for page in PAGES}
    assert {name: found for name, found in unknown.items() if found} == {}


def test_every_decision_is_in_the_list_and_the_list_has_no_other() -> None:
    there = {page.name for page in DECISIONS.glob("*.md")} - {"README.md"}
    assert linked((DECISIONS / "README.md").read_text()) == there


def test_planted_ones_are_found() -> None:
    text = "set `BALLAST_COLOUR`, and see `ballast_remote_write_samples_total`; [x](a-page.md)"
    assert variables(text) == {"BALLAST_COLOUR"}
    assert metrics(text) == {"ballast_remote_write_samples_total"}
    assert linked(text) == {"a-page.md"}
