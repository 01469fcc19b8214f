"""Emergency rules of the active policy that a new one leaves out, or that turn it on later there.

It is read off both and nothing is proved: of two rules whose times differ it is not known which is
the first one to break.
"""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from safety.emergency import CriticalRule, DriftRule, EmergencyRules, ErrorRule
from safety.policy import SafetyPolicy
from safety.proofs.findings import GRADES, Finding, Kind
from safety.proofs.reading import policy_in

Rule = CriticalRule | ErrorRule | DriftRule


def emergency_rules(written: object, active: SafetyPolicy | None) -> Iterator[Finding]:
    """Find what turns emergency mode on by the active policy, and not as surely by this one."""
    if active is None or (rules := _read(written)) is None:
        return
    there = list(_named(rules))
    for name, rule in _named(active.emergency):
        alike = [each for other, each in there if other == name]
        if not any(_is_as_strict(each, rule) for each in alike):
            yield _finding(name, rule, alike)


def _read(written: object) -> EmergencyRules | None:
    """Give the rules of what was written as a policy; None where they cannot be read."""
    policy = policy_in(written)
    rules = policy.get("emergency", {}) if isinstance(policy, Mapping) else {}
    try:
        return EmergencyRules.model_validate(rules)
    except ValidationError:  # told of with all that is refused beside the families
        return None


def _named(rules: EmergencyRules) -> Iterator[tuple[str, Rule]]:
    if rules.critical is not None:
        yield "emergency.critical", rules.critical
    if rules.errors is not None:
        yield "emergency.errors", rules.errors
    for each in rules.drift:
        yield f"emergency.drift of {each.family}.{each.field}", each


def _is_as_strict(rule: Rule, active: Rule) -> bool:
    """Tell whether a rule breaks whenever the active one of its name does."""
    if isinstance(rule, CriticalRule) and isinstance(active, CriticalRule):
        return rule.count <= active.count and rule.seconds >= active.seconds
    if isinstance(rule, ErrorRule) and isinstance(active, ErrorRule):
        breaks_at = rule.share <= active.share and rule.least_rows <= active.least_rows
        return breaks_at and rule.seconds == active.seconds
    if isinstance(rule, DriftRule) and isinstance(active, DriftRule):
        breaks_at = rule.score <= active.score and rule.least_rows <= active.least_rows
        return breaks_at and rule.seconds == active.seconds
    return False


def _finding(name: str, active: Rule, alike: list[Rule]) -> Finding:
    said = f"The active policy turns emergency mode on at {_in_words(active)}, and this one "
    if alike:
        said += f"at {' or at '.join(map(_in_words, alike))}, which may be later: keep the rule"
    else:
        section = name.partition(" ")[0]
        said += f"has no such rule, so that it does not: add `{section}` as it was"
    return Finding(
        kind=Kind.LETS_THROUGH,
        grade=GRADES[Kind.LETS_THROUGH],
        family="",
        rule=name,
        limit=_in_words(active),
        message=f"{said}, or approve this.",
    )


def _in_words(rule: Rule) -> str:
    match rule:
        case CriticalRule(count=count):
            said = f"{count} rows that broke critical limits"
        case ErrorRule(share=share, least_rows=least):
            said = f"{100 * share:g} % of at least {least} rows without a model's answer"
        case DriftRule(family=family, field=field, score=score, least_rows=least):
            said = f"a drift of {score:g} in `{field}` of {family} over at least {least} rows"
    return f"{said} within {rule.seconds:g} s"
