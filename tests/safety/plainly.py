"""The policy language a second time: a row at a time, in plain Python, straight from the text."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from safety.columns import LAST_AGE, is_parameter, last
from safety.conditions import AllOf, AnyOf, Comparison, Condition
from safety.limits import (
    LEVELS,
    ChangeLimit,
    Level,
    Limit,
    Range,
    Relation,
    Repair,
    WidthLimit,
)
from safety.policy import FamilyPolicy
from safety.recipes import Constant

Row = Mapping[str, float]
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
NAN = math.nan
EPSILON = 2.0**-52
LARGEST = 1.7976931348623157e308


@dataclass
class Outcome:
    """What becomes of one row."""

    level: Level = Level.SAFE
    broken: list[str] = field(default_factory=list)
    fallback: bool = False
    clamped: bool = False
    refused: str | None = None
    alarm: str | None = None
    row: dict[str, float] = field(default_factory=dict)


@dataclass
class Named:
    """A rule: a limit with its name, or (without a limit) that a column is a finite number."""

    name: str
    level: Level
    repair: Repair
    limit: Limit | None
    column: str | None


def holds(condition: Condition, row: Row, policy: FamilyPolicy) -> bool:
    if isinstance(condition, AllOf):
        return all(holds(part, row, policy) for part in condition.all)
    if isinstance(condition, AnyOf):
        return any(holds(part, row, policy) for part in condition.any)
    left, right = row.get(condition.left, NAN), _right(condition, row, policy)
    if not (math.isfinite(left) and math.isfinite(right)):
        return condition.if_missing
    return OPERATORS[condition.op](left, right)


def _right(comparison: Comparison, row: Row, policy: FamilyPolicy) -> float:
    right = comparison.right
    if isinstance(right, float | int):
        return right
    choices = policy.codes.get(comparison.left, ())
    return choices.index(right) if right in choices else row.get(right, NAN)


def rules_of(policy: FamilyPolicy) -> list[Named]:
    found = [
        Named(
            f"finite:{name}",
            Level.CRITICAL if name in policy.outputs else policy.missing_input,
            Repair.FALLBACK,
            None,
            name,
        )
        for name in policy.inputs + policy.outputs
    ]
    return found + [
        Named(each.name or _name(each), each.level, each.repair, each, _answered(each, policy))
        for each in policy.all_limits()
    ]


def _name(limit: Limit) -> str:
    match limit:
        case Range(field=name):
            return f"range:{name}"
        case Relation(lesser=lesser, greater=greater, factor=factor, margin=margin):
            times = "" if factor == 1 else f"{factor:g}*"
            return f"relation:{lesser}<={times}{greater}" + (f"{margin:+g}" if margin else "")
        case WidthLimit(prediction=name):
            return f"width:{name}"
        case ChangeLimit(field=name):
            return f"change:{name}"
    return f"forbidden:{limit.name}"


def _answered(limit: Limit, policy: FamilyPolicy) -> str | None:
    match limit:
        case Range(field=name) | ChangeLimit(field=name) | WidthLimit(prediction=name):
            return name
        case Relation(lesser=lesser, greater=greater):
            return lesser if lesser in policy.outputs or is_parameter(lesser) else greater
    return None


def breaks(rule: Named, row: Row, policy: FamilyPolicy) -> bool:
    limit = rule.limit
    if limit is None:
        return not math.isfinite(row.get(rule.column or "", NAN))
    beside = set(_reads(limit)) - {*policy.inputs, *policy.outputs}
    if not all(math.isfinite(row.get(name, NAN)) for name in beside):
        return False
    if limit.when is not None and not holds(limit.when, row, policy):
        return False
    return _breaks(limit, row)


def _reads(limit: Limit) -> list[str]:
    match limit:
        case Range(field=name):
            return [name]
        case Relation(lesser=lesser, greater=greater):
            return [lesser, greater]
        case ChangeLimit(field=name, per_seconds=per):
            return [name, last(name)] + ([LAST_AGE] if per else [])
        case WidthLimit():
            return [limit.prediction, limit.lower, limit.upper]
    return []


def _breaks(limit: Limit, row: Row) -> bool:
    match limit:
        case Range():
            value = row.get(limit.field, NAN)
            if math.isinf(value):
                return True
            under = limit.low is not None and (
                value < limit.low or (limit.above_low and value == limit.low)
            )
            return under or (limit.high is not None and value > limit.high)
        case Relation():
            ceiling = row.get(limit.greater, NAN) * limit.factor + limit.margin
            return not row.get(limit.lesser, NAN) <= ceiling
        case WidthLimit():
            prediction, low, high = (
                row.get(name, NAN) for name in (limit.prediction, limit.lower, limit.upper)
            )
            size = NAN if math.isnan(prediction) else max(abs(prediction), limit.floor)
            return not high - low <= limit.max_relative * size
        case ChangeLimit():
            lowest, highest = change_bounds(limit, row)
            return row.get(limit.field, NAN) > highest or row.get(limit.field, NAN) < lowest
    return True


def change_bounds(limit: ChangeLimit, row: Row) -> tuple[float, float]:
    before, age = row.get(last(limit.field), NAN), max(row.get(LAST_AGE, NAN), 0.0)

    def room(amount: float | None, share: float | None) -> float:
        if amount is None and share is None:
            return math.inf
        total = amount or 0.0
        if limit.per_seconds is not None:
            total = total * age / limit.per_seconds
        return total + (share or 0.0) * abs(before)

    return before - room(limit.fall, limit.fall_share), before + room(limit.rise, limit.rise_share)


def bound(limit: Limit, row: Row, policy: FamilyPolicy) -> float:
    """Say where a clamped field is moved to; NaN where there is no such number."""
    name = _answered(limit, policy)
    lowest, highest = _span(limit, row, policy)
    if name in policy.whole:
        lowest, highest = _whole(math.ceil, lowest), _whole(math.floor, highest)
    return highest if row.get(name or "", NAN) > highest else lowest


def _span(limit: Limit, row: Row, policy: FamilyPolicy) -> tuple[float, float]:
    """Give the least and the greatest value that the limit lets its field have."""
    match limit:
        case Range(low=low, high=high):
            if low is not None and limit.above_low:
                low = math.nextafter(low, math.inf)
            return -LARGEST if low is None else low, LARGEST if high is None else high
        case ChangeLimit():
            return change_bounds(limit, row)
        case Relation(factor=factor, margin=margin):
            greater, lesser = row.get(limit.greater, NAN), row.get(limit.lesser, NAN)
            if _answered(limit, policy) == limit.lesser:
                ceiling = greater * factor + margin
                return -math.inf, ceiling
            nudge = 4 * EPSILON * (abs(lesser) + abs(margin))
            if limit.greater in policy.whole:
                nudge = 0.0
            ground = (lesser - margin + nudge) / factor
            return ground, math.inf
    return NAN, NAN


def _whole(rounded: Callable[[float], int], value: float) -> float:
    return float(rounded(value)) if math.isfinite(value) else value


def clamp(row: dict[str, float], rules: list[Named], policy: FamilyPolicy) -> None:
    for rule in rules:
        if rule.limit is not None and rule.column in row and breaks(rule, row, policy):
            moved = bound(rule.limit, row, policy)
            if math.isfinite(moved):
                row[rule.column] = float(moved)


def judge(row: Row, policy: FamilyPolicy) -> list[Named]:
    rules = rules_of(policy)
    found = [rule for rule in rules if breaks(rule, row, policy)]
    if any(rule.limit is None and rule.column in policy.outputs for rule in found):
        found = [rule for rule in found if not isinstance(rule.limit, Relation | WidthLimit)]
    return found


def answer(row: Row, policy: FamilyPolicy) -> dict[str, float]:
    """Give the fallback's outputs; only constants are cooked here."""
    known = {name: value for name, value in row.items() if name not in policy.outputs}
    for rule in rules_of(policy):
        unbelievable = (
            isinstance(rule.limit, Range)
            and rule.column in policy.inputs
            and rule.repair is Repair.FALLBACK
            and policy.responses.substitutes(rule.level)
        )
        if unbelievable and rule.column is not None and breaks(rule, row, policy):
            known[rule.column] = NAN
    for recipe in policy.fallback:
        assert isinstance(recipe, Constant)
        known[recipe.field] = (
            math.ceil(recipe.value) if recipe.field in policy.whole else recipe.value
        )
    clamps = [
        each
        for each in rules_of(policy)
        if each.repair is Repair.CLAMP and each.level is not Level.SAFE
    ]
    clamp(known, clamps, policy)
    return {name: known[name] for name in policy.outputs}


def carry_out(row: Row, policy: FamilyPolicy) -> Outcome:
    """Judge a row and do what the policy says."""
    broken = judge(row, policy)
    outcome = Outcome(
        level=max((each.level for each in broken), key=LEVELS.index, default=Level.SAFE),
        broken=[each.name for each in broken],
        row=dict(row),
    )
    acting = [each for each in broken if policy.responses.substitutes(each.level)]
    _note(outcome, [each for each in acting if each.repair is not Repair.CLAMP])
    if acting and not outcome.fallback:
        outcome.clamped = True
        clamps = [
            each
            for each in rules_of(policy)
            if each.repair is Repair.CLAMP and policy.responses.substitutes(each.level)
        ]
        clamp(outcome.row, clamps, policy)
        still = judge(outcome.row, policy)
        _note(outcome, [each for each in still if policy.responses.substitutes(each.level)])
    if outcome.fallback:
        outcome.clamped = False
        outcome.row |= answer(outcome.row, policy)
    return outcome


def _note(outcome: Outcome, acting: list[Named]) -> None:
    outcome.fallback = outcome.fallback or bool(acting)
    for rule in acting:
        of_parameter = rule.column is not None and is_parameter(rule.column)
        if rule.repair is Repair.REFUSE or of_parameter:
            outcome.refused = outcome.refused or rule.name
        if rule.repair is Repair.EMERGENCY:
            outcome.alarm = outcome.alarm or rule.name
