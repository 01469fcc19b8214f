from typing import Any

import pytest
from pydantic import TypeAdapter

from features.sources.prometheus.promql import deploys_of, expression_of
from features.sources.rules import Matcher, Rule, Selector

RULE: TypeAdapter[Rule] = TypeAdapter(Rule)
X = {"name": "x", "where": [{"label": "code", "op": "=~", "value": "5.."}]}
Y = {"name": "y"}

WRITTEN = [
    ({"kind": "rate", "of": X}, 'sum by (job) (rate(x{code=~"5..",job!=""}[60s]))'),
    ({"kind": "rate", "of": Y, "times": 0.5}, 'sum by (job) (rate(y{job!=""}[60s])) * 0.5'),
    (
        {"kind": "ratio", "of": X, "by": Y},
        (
            '(sum by (job) (rate(x{code=~"5..",job!=""}[60s])) or '
            'sum by (job) (rate(y{job!=""}[60s])) * 0) / (sum by (job) (rate(y{job!=""}[60s])) > 0)'
        ),
    ),
    (
        {"kind": "quantile", "of": Y, "level": 0.999},
        (
            '(histogram_quantile(0.999, sum by (job, le) (rate(y_bucket{job!=""}[60s]))) >= 0)'
            " * 1000.0"
        ),
    ),
    (
        {"kind": "quantile", "of": Y, "level": 0.5, "native": True, "times": 1},
        '(histogram_quantile(0.5, sum by (job) (rate(y{job!=""}[60s]))) >= 0)',
    ),
    (
        {"kind": "gauge", "of": Y, "over": "max"},
        'max by (job) (y{job!=""} and timestamp(y{job!=""}) > time() - 60)',
    ),
    (
        {"kind": "gauge_ratio", "of": Y, "by": Y},
        (
            'sum by (job) (y{job!=""} and timestamp(y{job!=""}) > time() - 60) / '
            '(sum by (job) (y{job!=""} and timestamp(y{job!=""}) > time() - 60) != 0)'
        ),
    ),
    ({"kind": "expression", "promql": "rate(y[$interval])"}, "rate(y[60s])"),
]


@pytest.mark.parametrize(("rule", "promql"), WRITTEN)
def test_rules_are_written_as_people_write_them(rule: dict[str, Any], promql: str) -> None:
    assert expression_of(RULE.validate_python(rule), "job", 60) == promql


def test_a_deploy_replaces_a_share_of_the_processes_or_brings_another_version() -> None:
    now = 'count by (job) (began{job!=""})'
    youngest = (
        'on (job) group_left () (max by (job) (max_over_time(began{job!=""}[600s] offset 60s)) + 1)'
    )
    replaced = (
        f'count by (job) (began{{job!=""}} > {youngest}) >= {now} * 0.25'
        f" and max_over_time(({now})[600s:60s] offset 60s)"
        f' - (count by (job) (began{{job!=""}} <= {youngest}) or {now} * 0) >= {now} * 0.25'
    )
    assert deploys_of(Selector(name="began"), "job", 60) == replaced
    with_version = deploys_of(Selector(name="began"), "job", 60, "version")
    each = 'began{job!="",version!=""}'
    assert with_version == (
        f"({replaced}) or count by (job) ((count by (job, version) ({each})"
        f" unless count by (job, version) (max_over_time({each}[600s] offset 60s))"
        f") and on (job) count by (job) (max_over_time({each}[600s] offset 60s)))"
    )


def test_values_are_quoted() -> None:
    matcher = Matcher(label="path", value='a"b\\c\nd')
    rule = RULE.validate_python({"kind": "rate", "of": {"name": "x", "where": [matcher]}})
    assert r'path="a\"b\\c\nd"' in expression_of(rule, "job", 60)
