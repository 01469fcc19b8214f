"""A metric that nobody sets, or that no document explains, is a defect."""

import ast
import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from observability.metrics import GAUGE_RULES, Metrics
from tests.surface.source import REPOSITORY, attributes, last_name, methods_of, module, product

HOME = "observability/metrics.py"
# On their way.
AWAITED = {"ledger_drain_lag_seconds"}
WRITES = ("inc", "dec", "set", "observe")


def written(trees: Iterable[ast.AST]) -> set[str]:
    """Name each `x` of `x.set(...)`, `x.labels(...).inc()` and the like."""
    found = set()
    for node in attributes(trees):
        if node.attr in WRITES:
            to = node.value
            labelled = isinstance(to, ast.Call) and last_name(to) == "labels"
            found.add(last_name(to.func.value) if labelled else last_name(to))  # type: ignore[attr-defined] # a call's
    return found


def unset(defined: Iterable[str], home: ast.AST, others: list[ast.Module]) -> set[str]:
    """Name the metrics that are set neither by others nor by a method that others call."""
    found = written(others)
    called = {each.attr for each in attributes(others)}
    for method in methods_of(home, "Metrics"):
        if method.name in called:
            found |= written([method])
    return set(defined) - found


def defined_metrics() -> set[str]:
    return {name for name in vars(Metrics(CollectorRegistry())) if name != "registry"}


def exported_names() -> set[str]:
    """Name what Prometheus sees: counters with their ending."""
    registry = CollectorRegistry()
    Metrics(registry)
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }


def documented_names(text: str) -> set[str]:
    """Read the first column of the table under the heading Metrics."""
    section = text.split("\n## Metrics\n")[1].split("\n## ", maxsplit=1)[0]
    return set(re.findall(r"^\| `([a-z_]+)", section, re.MULTILINE))


def test_every_metric_is_set() -> None:
    assert unset(defined_metrics(), module(HOME), product(but=[HOME])) <= AWAITED


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    text = (REPOSITORY / "docs/operations.md").read_text()
    assert documented_names(text) == exported_names()


def test_every_rule_for_a_gauge_has_its_gauge() -> None:
    assert set(GAUGE_RULES) <= exported_names()


def test_a_metric_that_nobody_sets_is_found() -> None:
    home = ast.parse(
        "class Metrics:\n"
        "    def answered(self): self.requests.labels('a').inc()\n"
        "    def never_called(self): self.lost.inc()\n"
    )
    other = ast.parse("metrics.answered()\nself.metrics.lag.set(3)\nmetrics.only_read.labels('x')")
    assert unset(["requests", "lost", "lag", "only_read"], home, [other]) == {"lost", "only_read"}


def test_a_metric_that_is_not_documented_is_found() -> None:
    text = (
        "\n## Metrics\n\n| name | what |\n|---|---|\n| `a_total{b}` | x |\n\n## Next\n| `c` | y |\n"
    )
    assert documented_names(text) == {"a_total"}
