"""The rungs of the fallback ladder, and which of them a family has: data of its policy."""

from enum import StrEnum

from pydantic import Field

from settings.frozen import Frozen


class Rung(StrEnum):
    """Who an answer is from, from best to last."""

    MODEL = "model"
    LAST_SAFE = "last_safe"  # the entity's last answer of the model's that could leave
    BASELINE = "baseline"  # the recipes, from what is known of the row
    CONSTANT = "constant"  # the recipes, where what they read is not known

    @property
    def code(self) -> int:
        """The number that stands for this rung in a column; the model's is 0."""
        return RUNGS.index(self)


RUNGS: tuple[Rung, ...] = tuple(Rung)


class Rungs(Frozen):
    """What a family answers by where its model's answer may not leave; constants always can."""

    last_safe_seconds: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="How old an entity's last safe answer may be to stand in; null has no such "
        "rung.",
    )
    same: tuple[str, ...] = Field(
        (),
        description="Columns of the request that must be as they were when that answer was given: "
        "an answer about another objective is none about this one.",
    )
    baseline: bool = Field(
        True, description="Whether the recipes may read the row; if not, they are all constants."
    )

    @property
    def has_last_safe(self) -> bool:
        return self.last_safe_seconds is not None
