"""The limits a policy may set: on a field, between two, on an interval, on a change, on a state."""

from abc import abstractmethod
from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from safety.columns import LAST_AGE, is_parameter, last
from safety.conditions import MOST_COMPARISONS, MOST_NESTED, Condition, comparisons
from safety.written import Grown


class Level(StrEnum):
    """How far an answer may be trusted, from best to worst."""

    SAFE = "safe"
    WARNING = "warning"
    UNSAFE = "unsafe"
    CRITICAL = "critical"

    @property
    def code(self) -> int:
        """The number that stands for this level in a column."""
        return LEVELS.index(self)


LEVELS: tuple[Level, ...] = tuple(Level)

Breach = Literal[Level.WARNING, Level.UNSAFE, Level.CRITICAL]


class Repair(StrEnum):
    """What is done to an answer that breaks a limit and may not leave as it is."""

    CLAMP = "clamp"  # the field is moved to the limit; the rest of the row stands
    FALLBACK = "fallback"  # the whole row is answered by the family's conservative rule
    REFUSE = "refuse"  # the row is answered by an error that names the rule
    EMERGENCY = "emergency"  # as fallback, and the row says that emergency mode is called for


# Those that leave nothing of the model's answer.
DRASTIC = frozenset({Repair.REFUSE, Repair.EMERGENCY})

RuleName = Field("", max_length=64, pattern=r"^[a-z0-9]?[a-z0-9._-]*$")


class Limit(Grown):
    """What all limits share. A limit at level safe is on trial: a breach is noted, and no more."""

    added: ClassVar[frozenset[str]] = frozenset({"name", "when"})

    name: str = RuleName  # what it is called where it is broken; made of its fields where empty
    when: Condition | None = None  # always, where left out
    level: Level
    repair: Repair = Repair.FALLBACK
    message: str

    @model_validator(mode="after")
    def _condition_is_no_program(self) -> Self:
        found = [] if self.when is None else list(comparisons(self.when))
        if len(found) > MOST_COMPARISONS:
            raise ValueError(
                f"`when` has {len(found)} comparisons, more than {MOST_COMPARISONS}: "
                "make several limits of it"
            )
        if any(nested > MOST_NESTED for _, nested in found):
            raise ValueError(f"`when` is nested deeper than {MOST_NESTED}: flatten it")
        return self

    @abstractmethod  # the metaclass of pydantic's models is an ABCMeta
    def governs(self) -> tuple[str, ...]:
        """Name the columns that it is about, those of its condition aside."""

    def against(self) -> tuple[str, ...]:
        """Name the columns of the last answer that it holds them against."""
        return ()


class Range(Limit):
    """Keeps one field between two bounds; None leaves a side open."""

    field: str
    low: float | None = None
    high: float | None = None
    above_low: bool = Field(False, description="The low bound itself is already a breach.")

    def governs(self) -> tuple[str, ...]:
        return (self.field,)

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError(f"the range on {self.field} needs a low or a high bound")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the range on {self.field} has low {self.low} > high {self.high}")
        if self.above_low and self.low is None:
            raise ValueError(f"the range on {self.field} is above_low without a low bound")
        return self


class Relation(Limit):
    """Keeps lesser <= factor * greater + margin."""

    lesser: str
    greater: str
    factor: float = Field(1.0, gt=0)
    margin: float = 0.0

    def governs(self) -> tuple[str, ...]:
        return (self.lesser, self.greater)

    @model_validator(mode="after")
    def _two_fields(self) -> Self:
        if self.lesser == self.greater:
            raise ValueError(f"a relation needs two fields, not {self.lesser} twice")
        return self


class WidthLimit(Limit):
    """Keeps upper - lower <= max_relative * max(|prediction|, floor)."""

    added: ClassVar[frozenset[str]] = frozenset({"name", "when", "repair"})

    prediction: str
    lower: str
    upper: str
    max_relative: float = Field(gt=0)
    # Near zero any interval is wide relative to the prediction; the floor keeps that from counting.
    floor: float = Field(1.0, gt=0)

    def governs(self) -> tuple[str, ...]:
        return (self.prediction, self.lower, self.upper)

    @model_validator(mode="after")
    def _nothing_to_move(self) -> Self:
        if self.repair is Repair.CLAMP:
            raise ValueError(
                f"the width around {self.prediction} cannot be clamped: an interval has two ends"
            )
        return self


class ChangeLimit(Limit):
    """Keeps a field near the entity's last answer; a side without an allowance is open.

        last - fall - fall_share * |last| <= field <= last + rise + rise_share * |last|

    `rise` and `fall` are for each `per_seconds` since the last answer, where that is stated.
    Without a last answer nothing is broken.
    """

    field: str
    rise: float | None = Field(None, ge=0)
    rise_share: float | None = Field(None, ge=0)
    fall: float | None = Field(None, ge=0)
    fall_share: float | None = Field(None, ge=0)
    per_seconds: float | None = Field(None, gt=0)

    def governs(self) -> tuple[str, ...]:
        return (self.field,)

    def against(self) -> tuple[str, ...]:
        return (last(self.field),) if self.per_seconds is None else (last(self.field), LAST_AGE)

    @model_validator(mode="after")
    def _allowances_make_sense(self) -> Self:
        shares = (self.rise_share, self.fall_share)
        if all(each is None for each in (self.rise, self.fall, *shares)):
            raise ValueError(f"the change of {self.field} needs a rise or a fall that is allowed")
        if self.per_seconds is not None and shares != (None, None):
            raise ValueError(
                f"the change of {self.field} has a share for each per_seconds: "
                "a share is of the last answer, whatever its age"
            )
        return self


class Forbidden(Limit):
    """Lets nothing through while its condition holds."""

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")
    when: Condition

    def governs(self) -> tuple[str, ...]:
        return ()

    @model_validator(mode="after")
    def _nothing_to_move(self) -> Self:
        if self.repair is Repair.CLAMP:
            raise ValueError(f"{self.name} forbids the answer, and has no field to clamp")
        return self


def governs_parameters(limit: Limit) -> bool:
    """Tell whether a limit is about what no fallback can answer: a study's parameters."""
    return any(is_parameter(column) for column in limit.governs())
