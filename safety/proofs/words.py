"""Limits and rows in words, for whoever must change the policy."""

import math
from collections.abc import Mapping

from safety.limits import Range, Relation, WidthLimit
from safety.rules import Rule


def in_words(limit: Range | Relation | WidthLimit | None, rule: Rule) -> str:
    """Say what a limit asks for, and at which level."""
    match limit:
        case Range():
            said = _range(limit)
        case Relation():
            factor = "" if limit.factor == 1 else f"{limit.factor:g} * "
            said = f"{limit.lesser} <= {factor}{limit.greater}{_added(limit.margin)}"
        case WidthLimit():
            said = (
                f"{limit.upper} - {limit.lower} <= {limit.max_relative:g} * "
                f"max(|{limit.prediction}|, {limit.floor:g})"
            )
        case None:
            said = f"{rule.field} is a number"
    return f"{said} ({rule.level})"


def _range(limit: Range) -> str:
    low = "" if limit.low is None else f"{limit.low:g} {'<' if limit.above_low else '<='} "
    high = "" if limit.high is None else f" <= {limit.high:g}"
    return f"{low}{limit.field}{high}"


def _added(margin: float) -> str:
    if margin == 0:
        return ""
    return f" + {margin:g}" if margin > 0 else f" - {-margin:g}"


def row_in_words(row: Mapping[str, float]) -> str:
    """Write a row as a person would; a value that is missing is said to be."""
    return ", ".join(f"{name} {_value(value)}" for name, value in row.items())


def _value(value: float) -> str:
    if math.isnan(value):
        return "missing"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"= {value:.17g}" if value != round(value, 6) else f"= {value:g}"


def joined(said: tuple[str, ...]) -> str:
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
