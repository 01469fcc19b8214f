"""A family's limits made ready for a batch: its rules, and what finds those that are broken."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from safety.arrays import LARGEST
from safety.columns import LAST_AGE, last
from safety.conditions import AllOf, Comparison, Condition
from safety.limits import ChangeLimit, Level, Limit, Range, Relation, Repair, WidthLimit
from safety.policy import FamilyPolicy
from safety.rules import (
    Allowance,
    Between,
    Change,
    Finite,
    Measure,
    Never,
    Ordered,
    Rule,
    Width,
)


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rules of one family, by kind, and the order of the columns that they read."""

    fields: tuple[str, ...]
    finite: tuple[Rule, ...]
    ranges: tuple[Rule, ...]
    relations: tuple[Rule, ...]
    widths: tuple[Rule, ...]
    changes: tuple[Rule, ...]
    forbidden: tuple[Rule, ...]
    # By the place of a rule among all: the condition without which it says nothing.
    conditions: Mapping[int, Condition]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return (
            *self.finite,
            *self.ranges,
            *self.relations,
            *self.widths,
            *self.changes,
            *self.forbidden,
        )


def rule_book(policy: FamilyPolicy) -> RuleBook:
    maker = _Maker(policy)
    finite = tuple(maker.finite(field) for field in policy.inputs + policy.outputs)
    limits = policy.all_limits()
    asked = ((at, maker.condition(limit)) for at, limit in enumerate(limits, len(finite)))
    return RuleBook(
        fields=maker.fields,
        finite=finite,
        ranges=tuple(map(maker.range, policy.all_ranges())),
        relations=tuple(map(maker.relation, policy.all_relations())),
        widths=tuple(map(maker.width, policy.widths)),
        changes=tuple(map(maker.change, policy.changes)),
        forbidden=tuple(
            maker.rule(each, None, f"forbidden:{each.name}", Never()) for each in policy.forbidden
        ),
        conditions={at: condition for at, condition in asked if condition is not None},
    )


class _Maker:
    """Makes a policy's limits into rules."""

    def __init__(self, policy: FamilyPolicy) -> None:
        self._policy = policy
        self.fields = policy.inputs + policy.outputs + policy.context_columns()
        self.at = {field: position for position, field in enumerate(self.fields)}

    def condition(self, limit: Limit) -> Condition | None:
        """Give what must hold for the limit to say anything: its columns are there, and `when`."""
        known = {*self._policy.inputs, *self._policy.outputs}
        needed = [each for each in (*limit.governs(), *limit.against()) if each not in known]
        there = [Comparison(left=column, op="==", right=column) for column in needed]
        parts = [*there, *([] if limit.when is None else [limit.when])]
        return None if not parts else parts[0] if len(parts) == 1 else AllOf(all=tuple(parts))

    def rule(self, limit: Limit, field: str | None, name: str, measure: Measure) -> Rule:
        called = limit.name or name
        return Rule(called, field, limit.level, limit.message, limit.repair, measure)

    def finite(self, field: str) -> Rule:
        answered = field in self._policy.outputs
        return Rule(
            name=f"finite:{field}",
            field=field,
            level=Level.CRITICAL if answered else self._policy.missing_input,
            message="The model's value is not a finite number."
            if answered
            else "This input is missing and could not be filled in.",
            repair=Repair.FALLBACK,
            measure=Finite(self.at[field]),
        )

    def range(self, limit: Range) -> Rule:
        low = -LARGEST if limit.low is None else limit.low
        between = Between(
            at=self.at[limit.field],
            # The next number up is the lowest that is strictly above: one comparison serves both.
            low=float(np.nextafter(low, np.inf)) if limit.above_low else low,
            high=LARGEST if limit.high is None else limit.high,
            whole=limit.field in self._policy.whole,
        )
        return self.rule(limit, limit.field, f"range:{limit.field}", between)

    def relation(self, limit: Relation) -> Rule:
        on_lesser = self._policy.is_answer(limit.lesser)
        field = limit.lesser if on_lesser else limit.greater
        ordered = Ordered(
            lesser_at=self.at[limit.lesser],
            greater_at=self.at[limit.greater],
            factor=limit.factor,
            margin=limit.margin,
            on_lesser=on_lesser,
            whole=field in self._policy.whole,
        )
        factor = "" if limit.factor == 1 else f"{limit.factor:g}*"
        margin = "" if limit.margin == 0 else f"{limit.margin:+g}"
        name = f"relation:{limit.lesser}<={factor}{limit.greater}{margin}"
        return self.rule(limit, field, name, ordered)

    def width(self, limit: WidthLimit) -> Rule:
        width = Width(
            prediction_at=self.at[limit.prediction],
            lower_at=self.at[limit.lower],
            upper_at=self.at[limit.upper],
            max_relative=limit.max_relative,
            floor=limit.floor,
        )
        return self.rule(limit, limit.prediction, f"width:{limit.prediction}", width)

    def change(self, limit: ChangeLimit) -> Rule:
        before = self.at[last(limit.field)]
        change = Change(
            at=self.at[limit.field],
            last_at=before,
            # Where no age is asked for any finite column will do.
            age_at=before if limit.per_seconds is None else self.at[LAST_AGE],
            rise=_allowance(limit.rise, limit.rise_share, limit.per_seconds),
            fall=_allowance(limit.fall, limit.fall_share, limit.per_seconds),
            whole=limit.field in self._policy.whole,
        )
        return self.rule(limit, limit.field, f"change:{limit.field}", change)


def _allowance(
    amount: float | None, share: float | None, per_seconds: float | None
) -> Allowance | None:
    if amount is None and share is None:
        return None
    return Allowance(amount or 0.0, share or 0.0, np.inf if per_seconds is None else per_seconds)
