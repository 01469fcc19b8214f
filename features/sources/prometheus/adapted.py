"""Turns a convention into the rule for one Prometheus: its entity label, and who is left out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from features.sources.prometheus.promql import expression_of
from features.sources.rules import Expression, Matcher, Rule, Selector

# A matcher is no longer than this (features/sources/rules.py).
LONGEST = 1000


def left_out(label: str, values: Iterable[str]) -> Matcher | None:
    """Give what keeps these values of a label out; None where none are, or too many."""
    pattern = "|".join(re.escape(value) for value in sorted(values))
    if not 0 < len(pattern) <= LONGEST:
        return None
    return Matcher(label=label, op="!~", value=pattern)


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one source names its entities, and how often it is asked."""

    entity: str
    cadence_seconds: int

    def adapt(self, rule: Rule, but: Matcher | None, entity: str | None = None) -> Rule:
        """Fill in the entity label and what is left out; another label may name the entities."""
        if isinstance(rule, Expression):
            return _filled(rule, entity or self.entity, but)
        if but is None:
            return rule
        selectors = {
            name: each.model_copy(update={"where": (*each.where, but)})
            for name, each in rule
            if isinstance(each, Selector)
        }
        return rule.model_copy(update=selectors)

    def renamed(self, rule: Rule, by: str, present: Rule) -> Rule:
        """Let the values of another label name the entities, for those that `present` has."""
        text = expression_of(rule, by, self.cadence_seconds)
        named = f'label_replace({text}, "{self.entity}", "$1", "{by}", "(.*)")'
        summed = f"sum by ({self.entity}) ({named})"
        return Expression(promql=f"{summed} and on ({self.entity}) ({self.written(present)})")

    def first_of(self, rules: list[Rule]) -> Rule:
        """Take each entity's value from the first rule that has one of it."""
        if len(rules) == 1:
            return rules[0]
        return Expression(promql=" or ".join(f"({self.written(rule)})" for rule in rules))

    def written(self, rule: Rule) -> str:
        return expression_of(rule, self.entity, self.cadence_seconds)


def _filled(rule: Expression, entity: str, but: Matcher | None) -> Rule:
    only = f'{entity}!=""'
    if but is not None:
        only += f",{but.label}{but.op}{orjson.dumps(but.value).decode()}"
    return Expression(promql=rule.promql.replace("$entity", entity).replace("$only", only))
