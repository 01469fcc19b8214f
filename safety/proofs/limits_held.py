"""The limits of a family: each beside the checker's rule for it, and what follows of a breach."""

from dataclasses import dataclass

from safety.checker import Checker
from safety.limits import Range, Relation, Repair, WidthLimit
from safety.policy import FamilyPolicy
from safety.proofs.words import in_words
from safety.rules import Rule

# What happens to a row that breaks a limit, from least to most.
KEPT, CLAMPED, REPLACED = range(3)

Limit = Range | Relation | WidthLimit


@dataclass(frozen=True, slots=True)
class Held:
    """One limit."""

    rule: Rule
    at: int  # its place among the checker's rules
    limit: Limit | None  # none: a number must be there at all
    columns: frozenset[str]
    own: bool  # stated by the policy itself, not by its caps or by the platform
    effect: int
    says: str

    @property
    def acts(self) -> bool:
        return self.effect > KEPT

    def is_as_strict_as(self, other: "Held") -> bool:
        """Tell whether what follows of a breach is at least what follows of the other's."""
        return self.effect >= other.effect and self.rule.level.code >= other.rule.level.code


@dataclass(frozen=True, slots=True)
class Family:
    """A family's policy with its limits, in the checker's order."""

    name: str
    policy: FamilyPolicy
    checker: Checker
    limits: tuple[Held, ...]

    @classmethod
    def of(cls, name: str, policy: FamilyPolicy) -> "Family":
        checker = Checker(policy)
        return cls(name, policy, checker, tuple(_limits(policy, checker)))


def _limits(policy: FamilyPolicy, checker: Checker) -> list[Held]:
    ranges, relations = policy.all_ranges(), policy.all_relations()
    fields = policy.inputs + policy.outputs
    own = {id(each) for each in (*policy.ranges, *policy.relations, *policy.widths)}
    limits: list[Limit | None] = [*[None] * len(fields), *ranges, *relations, *policy.widths]
    return [
        Held(
            rule=rule,
            at=at,
            limit=limit,
            columns=_columns(rule, limit),
            own=id(limit) in own,
            effect=_effect(policy, rule),
            says=in_words(limit, rule),
        )
        for at, (rule, limit) in enumerate(zip(checker.rules, limits, strict=True))
    ]


def _effect(policy: FamilyPolicy, rule: Rule) -> int:
    if not policy.responses.substitutes(rule.level):
        return KEPT
    return CLAMPED if rule.repair is Repair.CLAMP else REPLACED


def _columns(rule: Rule, limit: Limit | None) -> frozenset[str]:
    match limit:
        case Range():
            return frozenset({limit.field})
        case Relation():
            return frozenset({limit.lesser, limit.greater})
        case WidthLimit():
            return frozenset({limit.prediction, limit.lower, limit.upper})
        case None:
            return frozenset({rule.field})
