"""What another version makes of one decision, held against what was answered."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from deployments.impact.recorded import Recorded
from deployments.impact.replay import Played
from deployments.impact.said import items_of, parameters_of
from deployments.impact.wire import REFUSED, RUNG, Change, Outcome, Shown
from safety.columns import PARAMETER
from safety.open_ends import OPEN_FROM
from safety.policy import FamilyPolicy


def outcome_of(
    recorded: Recorded,
    left: Mapping[str, float],
    before: Played,
    after: Played,
    policy: FamilyPolicy,
    *,
    asked_again: bool,
) -> Outcome:
    """Compare what left with what would have left; `before` is the decision played as it was."""
    changes = [] if after.refused else list(_changes(recorded, left, after, policy))
    flips = [
        (each.field, str(each.before), str(each.after))
        for each in changes
        if each.field in policy.codes and each.item is None
    ]
    if after.refused:
        flips.append((REFUSED, "answered", "refused"))
    elif recorded.rung != after.rung:
        flips.append((RUNG, recorded.rung, after.rung))
    broken, breaks = _rules(before), _rules(after)
    return Outcome(
        id=recorded.id,
        family=recorded.family.name,
        version=recorded.version,
        asked_again=asked_again,
        changes=changes,
        flips=flips,
        new=sorted(breaks - broken),
        gone=sorted(broken - breaks),
        refused=after.refused,
        alarm=after.alarm if not before.alarm else "",
    )


def fits(
    recorded: Recorded, left: Mapping[str, float], played: Played, policy: FamilyPolicy
) -> bool:
    """Tell whether a decision comes out as it was answered when its own version plays it."""
    told = {(each["rule"], _item(recorded, each)) for each in recorded.safety["violations"]}
    if (played.level, played.rung) != (recorded.safety["level"], recorded.rung):
        return False
    if played.refused or set(played.violations) != told:
        return False
    nested, counted = items_of(recorded), {*policy.whole, *policy.codes}
    return (
        all(_same(value, played.columns[name], name in counted) for name, value in left.items())
        and all(played.items[name][1:] == nested[name][1:] for name in nested)
        and played.parameters == parameters_of(recorded)
    )


def _item(recorded: Recorded, violation: Mapping[str, Any]) -> int | None:
    nested = recorded.family.nested
    return None if nested is None else violation.get(nested.item)


def _rules(played: Played) -> set[tuple[str, str]]:
    return {(rule, level) for (rule, _), level in played.violations.items()}


def _changes(
    recorded: Recorded, left: Mapping[str, float], after: Played, policy: FamilyPolicy
) -> Iterator[Change]:
    for name, now in after.columns.items():
        then = left.get(name, math.nan)
        one, other = _as_answered(name, then, policy), _as_answered(name, now, policy)
        # What the answer does not show changes nothing for whoever reads it.
        if not math.isnan(then) and one != other:
            yield Change(name, None, one, other)
    were, are = items_of(recorded), after.items
    for name in were.keys() & are.keys():
        pairs = zip(were[name], are[name], strict=True)
        for place, (then, now) in enumerate(pairs):
            one, other = _as_answered(name, then, policy), _as_answered(name, now, policy)
            if place and one != other:  # the first is the row's own
                yield Change(name, place + 1, one, other)
    parameters = parameters_of(recorded)
    for name in parameters.keys() & after.parameters.keys():
        if parameters[name] != after.parameters[name]:
            yield Change(f"{PARAMETER}{name}", None, parameters[name], after.parameters[name])


def _as_answered(name: str, value: float, policy: FamilyPolicy) -> Shown:
    """Give a number as the answer shows it: a choice by its name, a count whole, null if open."""
    if math.isnan(value) or abs(value) >= OPEN_FROM:
        return None
    if name in policy.codes:
        choices = policy.codes[name]
        return choices[int(value)] if 0 <= value < len(choices) else str(value)
    return int(value) if name in policy.whole else value


def _same(left: float, played: float, whole: bool) -> bool:
    """Compare what an answer shows with a column; what it does not show is no difference."""
    if math.isnan(left) or (abs(left) >= OPEN_FROM and abs(played) >= OPEN_FROM):
        return True
    return left == played or (whole and math.isfinite(played) and left == math.trunc(played))
