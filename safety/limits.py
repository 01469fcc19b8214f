"""The limits a policy may set: on one field, between two fields, and on an interval's width."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from settings.frozen import Frozen


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


class Range(Frozen):
    """Keeps one field between two bounds; None leaves a side open."""

    field: str
    low: float | None = None
    high: float | None = None
    above_low: bool = Field(False, description="The low bound itself is already a breach.")
    level: Breach
    repair: Repair = Repair.FALLBACK
    message: str

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError(f"the range on {self.field} needs a low or a high bound")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the range on {self.field} has low {self.low} > high {self.high}")
        if self.above_low and self.low is None:
            raise ValueError(f"the range on {self.field} is above_low without a low bound")
        return self


class Relation(Frozen):
    """Keeps lesser <= factor * greater + margin."""

    lesser: str
    greater: str
    factor: float = Field(1.0, gt=0)
    margin: float = 0.0
    level: Breach
    repair: Repair = Repair.FALLBACK
    message: str

    @model_validator(mode="after")
    def _two_fields(self) -> Self:
        if self.lesser == self.greater:
            raise ValueError(f"a relation needs two fields, not {self.lesser} twice")
        return self


class WidthLimit(Frozen):
    """Keeps upper - lower <= max_relative * max(|prediction|, floor)."""

    prediction: str
    lower: str
    upper: str
    max_relative: float = Field(gt=0)
    # Near zero any interval is wide relative to the prediction; the floor keeps that from counting.
    floor: float = Field(1.0, gt=0)
    level: Breach
    message: str
