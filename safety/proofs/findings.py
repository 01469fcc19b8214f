"""What a check of a policy finds: each with a counter-example, and a sentence on what to change."""

from collections import Counter
from enum import StrEnum

from pydantic import Field

from settings.frozen import Frozen


class Kind(StrEnum):
    """What is wrong, or worth a look."""

    UNREADABLE = "unreadable"  # it is no policy at all
    UNKNOWN_FIELD = "unknown_field"
    CONTRADICTION = "contradiction"
    FALLBACK_BREAKS = "fallback_breaks"
    NEVER_FIRES = "never_fires"
    SHADOWED = "shadowed"
    LETS_THROUGH = "lets_through"
    UNDECIDED = "undecided"  # no proof and no counter-example: never taken for fine


class Grade(StrEnum):
    """What follows of a finding.

    A policy with a warning or a note may be active once an approver has named it.
    """

    REFUSED = "refused"  # a policy with it may not be active
    WARNED = "warned"  # it does no harm, and was hardly meant so
    NOTED = "noted"  # it may be meant so, and somebody has to have seen it


# Each gateway holds the names; where there are more, those of a family are counted together.
MOST_NAMED = 40
MOST_CHARACTERS = 200


GRADES: dict[Kind, Grade] = {
    Kind.UNREADABLE: Grade.REFUSED,
    Kind.UNKNOWN_FIELD: Grade.REFUSED,
    Kind.CONTRADICTION: Grade.REFUSED,
    Kind.FALLBACK_BREAKS: Grade.REFUSED,
    Kind.NEVER_FIRES: Grade.WARNED,
    Kind.SHADOWED: Grade.WARNED,
    Kind.LETS_THROUGH: Grade.NOTED,
    Kind.UNDECIDED: Grade.REFUSED,
}


class Finding(Frozen):
    """One thing that is wrong with a policy, or worth a look."""

    kind: Kind
    grade: Grade
    family: str
    rule: str = Field(description="The rule's name, as violations give it; a path in the policy.")
    limit: str = Field("", description="What the rule says, in words.")
    others: tuple[str, ...] = Field((), description="The other limits that it takes, in words.")
    message: str = Field(description="What is wrong, and what to change.")
    example: dict[str, float | str | None] = Field(
        default_factory=dict,
        description="A row that shows it; null is a value that is missing, and infinity a text.",
    )

    @property
    def name(self) -> str:
        """What an approver calls it: the kind, the family and the rule."""
        words = (self.kind, self.family, self.rule)
        return " ".join(filter(None, words))[:MOST_CHARACTERS]


class Report(Frozen):
    """All that was found in a policy."""

    findings: tuple[Finding, ...]
    families: tuple[str, ...] = Field(description="Those that were checked.")
    questions: int = Field(0, description="How many questions were put to the prover.")
    seconds: float = Field(0.0, description="How long it took.")

    @property
    def passes(self) -> bool:
        return not any(each.grade is Grade.REFUSED for each in self.findings)

    @property
    def unrefused(self) -> tuple[Finding, ...]:
        """Give what does not keep the policy from being active, once an approver has named it."""
        return tuple(each for each in self.findings if each.grade is not Grade.REFUSED)

    @property
    def to_acknowledge(self) -> tuple[str, ...]:
        """Name what an approver has to name."""
        names = tuple(dict.fromkeys(each.name for each in self.unrefused))
        if len(names) <= MOST_NAMED:
            return names
        counted = Counter((each.kind, each.family) for each in self.unrefused)
        return tuple(
            f"{kind} {family}: {count} limits"[:MOST_CHARACTERS]
            for (kind, family), count in counted.items()
        )[:MOST_NAMED]
