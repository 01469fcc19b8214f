"""Every convention, tried with the series that it names in a real Prometheus; and its document."""

import itertools
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import random

import pytest

from features.sources.prometheus.adapted import Adapter
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.catalogue.convention import LEVELS, Convention
from features.sources.prometheus.catalogue.conventions import (
    CONVENTIONS,
    ENTITY_LABELS,
    LAST_RESORT,
    WATCHERS,
)
from features.sources.rules import Expression, Matcher, Quantile, Rate, Selector
from tests.prometheus_server import running
from tests.scraped import Scraped, counter, histogram, openmetrics

EVERY = (*CONVENTIONS, *LAST_RESORT)
DOCUMENT = Path(__file__).parents[4] / "docs/sources.md"
TIMED = {*LEVELS, "request_rate", "error_rate"}
NOW = int(time.time()) // 60 * 60


def is_native(convention: Convention) -> bool:
    """Tell whether it is of native histograms, which test_proposal has a real one of."""
    rule = convention.rule
    return (isinstance(rule, Quantile) and rule.native) or (
        isinstance(rule, Expression) and "histogram_count" in rule.promql
    )


def matching(matcher: Matcher) -> str:
    """Give a value that a matcher takes: the first of its pattern's, or its own."""
    pattern = matcher.value.partition("|")[0].replace(".", "0")
    return pattern if matcher.op == "=~" else matcher.value


def labels_of(convention: Convention, name: str) -> dict[str, str]:
    """Give labels that each selector of this name asks for."""
    rule = convention.rule
    if isinstance(rule, Expression):
        asked = re.findall(r'(\w+)="(\w+)"', rule.promql)
        return {"container": "app", **dict(asked)}
    selectors = [each for _, each in rule if isinstance(each, Selector) and each.name == name]
    return {m.label: matching(m) for each in selectors for m in each.where}


def series_of(convention: Convention, job: str) -> Iterator[Scraped]:
    """Give the series that it needs: of two requests a second one fails."""
    rule = convention.rule
    if isinstance(rule, Quantile):
        labels = {"job": job, **labels_of(convention, rule.of.name)}
        yield from histogram(rule.of.name, 2, labels, unit=1000.0 / rule.times)
        return
    for name in convention.series:
        labels = labels_of(convention, name)
        yield Scraped(name, {"job": job, **labels}, 5.0, 1.0)
        if convention.metric == "error_rate":
            yield counter(name, 1.0, job=job, **labels | dict.fromkeys(convention.labels, "none"))


async def test_each_gives_its_metric_of_the_series_that_it_names() -> None:
    tried = [each for each in EVERY if not is_native(each)]
    jobs = {f"job-{number}": each for number, each in enumerate(tried)}
    series = itertools.chain.from_iterable(series_of(each, job) for job, each in jobs.items())
    # Series of one name stand together.
    together = sorted(series, key=lambda each: each.name)
    adapter = Adapter("job", 60)
    with running(openmetrics(together, NOW)) as server:
        api = PrometheusApi("prometheus", server.url, random=random)
        try:
            for job, convention in jobs.items():
                promql = adapter.written(adapter.adapt(convention.rule, None))
                found = {each.labels["job"]: each.value for each in await api.query(promql, NOW)}
                assert job in found, (convention, promql)
                check(convention, found[job])
            for convention in filter(is_native, EVERY):
                await api.query(adapter.written(adapter.adapt(convention.rule, None)), NOW)
        finally:
            await api.close()


def check(convention: Convention, value: float) -> None:
    if isinstance(convention.rule, Quantile):
        assert value == pytest.approx(1000 * 0.1 * convention.rule.level), convention
    elif isinstance(convention.rule, Rate):
        assert value == pytest.approx(1.0), convention
    elif convention.metric == "error_rate":
        assert value == pytest.approx(0.5), convention


def test_no_two_of_one_metric_have_one_rank_and_another_rule() -> None:
    ranks: dict[tuple[str, int], set[str]] = defaultdict(set)
    for each in EVERY:
        ranks[each.metric, each.rank].add(each.software.removesuffix(", summary"))
    assert {key: names for key, names in ranks.items() if len(names) > 1} == {}


def test_what_is_of_the_monitoring_comes_last() -> None:
    for metric in {each.metric for each in LAST_RESORT}:
        last = min(each.rank for each in LAST_RESORT if each.metric == metric)
        assert all(each.rank < last for each in CONVENTIONS if each.metric == metric)


def rows(conventions: Iterable[Convention]) -> Iterator[str]:
    """Write what the document's table says of each kind of software."""
    by_software: dict[str, list[Convention]] = defaultdict(list)
    for each in conventions:
        by_software[each.software.removesuffix(", summary")].append(each)
    for software, group in by_software.items():
        series = dict.fromkeys(
            re.sub(r"_(bucket|count)$", "", name) if each.metric in TIMED else name
            for each in group
            for name in each.series
        )
        labels = dict.fromkeys(
            label for each in group if each.metric == "error_rate" for label in each.labels
        )
        metrics = dict.fromkeys(
            "latencies" if each.metric in LEVELS else each.metric for each in group
        )
        yield (
            f"| {software} | {', '.join(f'`{name}`' for name in series)} "
            f"| {', '.join(f'`{label}`' for label in labels)} | {', '.join(metrics)} |"
        )


def test_the_document_lists_every_convention_and_no_other() -> None:
    text = DOCUMENT.read_text()
    table = text.partition("| software |")[2].partition("\n\n")[0].splitlines()[2:]
    assert table == list(rows(EVERY))
    for name in (*ENTITY_LABELS, *WATCHERS):
        assert f"`{name}`" in text, name
