"""A metric that nobody sets, or that no document explains, is a defect."""

import ast
import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from observability.histogram import BatchHistogram
from observability.metrics import GAUGE_RULES, Metrics
from tests.surface.source import REPOSITORY, attributes, last_name, methods_of, module, product

HOME = "observability/metrics.py"
WRITES = ("inc", "dec", "set", "observe")


def written(trees: Iterable[ast.AST]) -> set[str]:
    """Name each `x` of `x.set(...)`, `x.labels(...).inc()` and the like."""
    found = set()
    for tree in trees:
        names = aliases(tree)
        for node in attributes([tree]):
            if node.attr in WRITES:
                to = node.value
                if isinstance(to, ast.Call) and isinstance(to.func, ast.Attribute):
                    to = to.func.value if to.func.attr == "labels" else to
                name = last_name(to)
                found.add(names.get(name, name))
    return found


def aliases(tree: ast.AST) -> dict[str, str]:
    """Read what `short = metrics.the_whole_name` calls short."""
    found = {}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=short)], value=ast.Attribute(attr=name)):
                found[short] = name
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
    kinds = (Counter, Gauge, BatchHistogram)
    return {
        name for name, each in vars(Metrics(CollectorRegistry())).items() if isinstance(each, kinds)
    }


def exported_names() -> set[str]:
    """Name what Prometheus sees: counters with their ending."""
    registry = CollectorRegistry()
    Metrics(registry)
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
    }


def documented_names(text: str) -> set[str]:
    """Read the first column of every table whose first column is called metric."""
    tables = re.findall(r"^\| metric \|.*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return set(re.findall(r"^\| `([a-z_]+)", "".join(tables), re.MULTILINE))


def test_every_metric_is_set() -> None:
    assert unset(defined_metrics(), module(HOME), product(but=[HOME])) == set()


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
    other = ast.parse(
        "metrics.answered()\n"
        "self.metrics.lag.set(3)\n"
        "metrics.only_read.labels('x')\n"
        "short = self.metrics.by_another_name\n"
        "call_later(short.inc)\n"
    )
    names = ["requests", "lost", "lag", "only_read", "by_another_name"]
    assert unset(names, home, [other]) == {"lost", "only_read"}


def test_a_metric_is_documented_by_its_row_in_a_table() -> None:
    text = (
        "| metric | says |\n|---|---|\n| `a_total{b,c}` | x |\n\n"
        "also `d_seconds`\n\n"
        "| limit | default |\n|---|---|\n| `rows_per_second` | 5 |\n"
    )
    assert documented_names(text) == {"a_total"}
