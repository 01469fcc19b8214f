"""The limits of a family: each beside the checker's rule for it, and what follows of a breach."""

from dataclasses import dataclass
from enum import IntEnum

from safety.checker import Checker
from safety.limits import Limit, Range, Repair
from safety.policy import FamilyPolicy
from safety.proofs.words import in_words
from safety.rules import Rule


class Effect(IntEnum):
    """What happens to a row that breaks a limit, from least to most."""

    KEPT = 0
    CLAMPED = 1
    REPLACED = 2
    REFUSED = 3
    EMERGENCY = 4


_EFFECTS = {
    Repair.CLAMP: Effect.CLAMPED,
    Repair.FALLBACK: Effect.REPLACED,
    Repair.REFUSE: Effect.REFUSED,
    Repair.EMERGENCY: Effect.EMERGENCY,
}


@dataclass(frozen=True, slots=True)
class Held:
    """One limit."""

    rule: Rule
    at: int  # its place among the checker's rules
    limit: Limit | None  # none: a number must be there at all
    columns: frozenset[str]
    own: bool  # stated by the policy itself, not by its caps or by the platform
    effect: Effect
    says: str

    @property
    def acts(self) -> bool:
        return self.effect > Effect.KEPT

    def is_as_strict_as(self, other: "Held") -> bool:
        """Tell whether what follows of a breach is at least what follows of the other's."""
        if self.rule.level.code < other.rule.level.code:
            return False
        # To refuse and to call for emergency are different things, not more and less of one.
        if other.effect > Effect.REPLACED:
            return self.effect == other.effect
        return self.effect >= other.effect


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

    def disbelieving(self) -> list[Held]:
        """Give the ranges outside of which an input tells the fallback nothing."""
        return [
            each
            for each in self.limits
            if each.acts
            and isinstance(each.limit, Range)
            and each.limit.repair is Repair.FALLBACK
            and each.limit.field in self.policy.inputs
        ]


def _limits(policy: FamilyPolicy, checker: Checker) -> list[Held]:
    stated = (*policy.ranges, *policy.relations, *policy.widths, *policy.changes)
    own = {id(each) for each in (*stated, *policy.forbidden)}
    fields = policy.inputs + policy.outputs
    limits: list[Limit | None] = [*[None] * len(fields), *policy.all_limits()]
    return [
        Held(
            rule=rule,
            at=at,
            limit=limit,
            columns=frozenset(policy.columns_of(limit) if limit else fields[at : at + 1]),
            own=id(limit) in own,
            effect=_effect(policy, rule),
            says=in_words(limit, rule),
        )
        for at, (rule, limit) in enumerate(zip(checker.rules, limits, strict=True))
    ]


def _effect(policy: FamilyPolicy, rule: Rule) -> Effect:
    acts = policy.responses.substitutes(rule.level)
    return _EFFECTS[rule.repair] if acts else Effect.KEPT
