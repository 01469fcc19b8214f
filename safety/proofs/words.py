"""Limits and rows in words, for whoever must change the policy."""

import math
from collections.abc import Mapping, Sequence

from safety.conditions import AllOf, AnyOf, Comparison, Condition
from safety.limits import ChangeLimit, Forbidden, Limit, Range, Relation, WidthLimit
from safety.rules import Rule


def in_words(limit: Limit | None, rule: Rule) -> str:
    """Say what a limit asks for, when, and at which level."""
    if limit is None:
        return f"{rule.field} is a number ({rule.level})"
    when = "" if limit.when is None else f" when {condition_in_words(limit.when)}"
    return f"{_limit_in_words(limit)}{when} ({limit.level})"


def _limit_in_words(limit: Limit) -> str:
    match limit:
        case Range():
            return _range(limit)
        case Relation():
            factor = "" if limit.factor == 1 else f"{limit.factor:g} * "
            return f"{limit.lesser} <= {factor}{limit.greater}{_added(limit.margin)}"
        case WidthLimit():
            size = f"max(|{limit.prediction}|, {limit.floor:g})"
            return f"{limit.upper} - {limit.lower} <= {limit.max_relative:g} * {size}"
        case ChangeLimit():
            return _change(limit)
        case Forbidden():
            return f"{limit.name}: nothing"
    raise TypeError(f"{type(limit).__name__} is a limit that has no words yet")


def _range(limit: Range) -> str:
    low = "" if limit.low is None else f"{limit.low:g} {'<' if limit.above_low else '<='} "
    high = "" if limit.high is None else f" <= {limit.high:g}"
    return f"{low}{limit.field}{high}"


def _added(margin: float) -> str:
    if margin == 0:
        return ""
    return f" + {margin:g}" if margin > 0 else f" - {-margin:g}"


def _change(limit: ChangeLimit) -> str:
    sides = (
        ("rises", limit.rise, limit.rise_share),
        ("falls", limit.fall, limit.fall_share),
    )
    said = [
        f"{verb} by at most {_allowance(amount, share)}"
        for verb, amount, share in sides
        if (amount, share) != (None, None)
    ]
    pace = "" if limit.per_seconds is None else f" for each {limit.per_seconds:g} s"
    return f"{limit.field} {' and '.join(said)}{pace}"


def _allowance(amount: float | None, share: float | None) -> str:
    parts = [f"{amount:g}"] if amount is not None else []
    if share is not None:
        parts.append(f"{share:g} * |the last answer|")
    return " + ".join(parts)


def condition_in_words(condition: Condition) -> str:
    match condition:
        case Comparison():
            right = condition.right
            side = right if isinstance(right, str) else f"{right:g}"
            missing = " (or missing)" if condition.if_missing else ""
            return f"{condition.left} {condition.op} {side}{missing}"
        case AllOf(all=parts):
            return " and ".join(_part(each) for each in parts)
        case AnyOf(any=parts):
            return " or ".join(_part(each) for each in parts)


def _part(condition: Condition) -> str:
    said = condition_in_words(condition)
    return said if isinstance(condition, Comparison) else f"({said})"


def row_in_words(row: Mapping[str, float]) -> str:
    """Write a row as a person would; a value that is missing is said to be."""
    return ", ".join(f"{name} {_value(value)}" for name, value in row.items())


def _value(value: float) -> str:
    if math.isnan(value):
        return "missing"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    short = f"{value:g}"
    return f"= {short if float(short) == value else repr(value)}"


def joined(said: Sequence[str]) -> str:
    quoted = [f"`{each}`" for each in said]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
