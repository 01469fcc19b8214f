"""Turns a convention into the rule for one Prometheus: its entity label, and who is left out."""

import re
from collections.abc import Iterable

import orjson

from features.sources.prometheus.promql import written
from features.sources.rules import Expression, Matcher, Rule, Selector

# A matcher is no longer than this (features/sources/rules.py).
LONGEST = 1000


def left_out(label: str, values: Iterable[str]) -> Matcher | None:
    """Give what keeps these values of a label out; None where none are, or too many."""
    pattern = "|".join(re.escape(value) for value in sorted(values))
    if not 0 < len(pattern) <= LONGEST:
        return None
    return Matcher(label=label, op="!~", value=pattern)


def adapt(rule: Rule, entity: str, but: Matcher | None) -> Rule:
    """Fill in the entity label and what is left out."""
    if isinstance(rule, Expression):
        text = "" if but is None else f"{but.label}{but.op}{orjson.dumps(but.value).decode()}"
        filled = rule.promql.replace("$entity", entity).replace("$but", text)
        return Expression(promql=filled)
    if but is None:
        return rule
    selectors = {
        name: each.model_copy(update={"where": (*each.where, but)})
        for name, each in rule
        if isinstance(each, Selector)
    }
    return rule.model_copy(update=selectors)


def renamed(rule: Rule, by: str, entity: str, present: Rule) -> Rule:
    """Let the values of another label name the entities, for those that `present` has."""
    text = f'label_replace({_text(rule, by)}, "{entity}", "$1", "{by}", "(.*)")'
    return Expression(
        promql=f"sum by ({entity}) ({text}) and on ({entity}) ({_text(present, entity)})"
    )


def first_of(rules: list[Rule], entity: str) -> Rule:
    """Take each entity's value from the first rule that has one of it."""
    if len(rules) == 1:
        return rules[0]
    return Expression(promql=" or ".join(f"({_text(rule, entity)})" for rule in rules))


def _text(rule: Rule, entity: str) -> str:
    return written(rule, entity, "$interval")
