"""What an operator states of steering itself: data in the state, changed by a command."""

from typing import Literal, Self

from pydantic import Field, model_validator

from settings.frozen import Frozen

HOUR = 3600.0


class Margin(Frozen):
    """How much worse a candidate may be in one metric before it counts as bad."""

    metric: str = Field(min_length=1, max_length=100)
    relative: float | None = Field(
        None,
        ge=0,
        description="As a part of the incumbent's value: 0.01 to 1, of interval_width 0.021 to 1.",
    )
    absolute: float | None = Field(
        None, ge=0, description="In the metric's own unit: for a rate 0.0001 to 0.05."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.relative is None) == (self.absolute is None):
            raise ValueError(f"margin of {self.metric}: give either relative or absolute")
        return self


MARGINS = (
    Margin(metric="p99_ms", relative=0.10, absolute=None),
    Margin(metric="interval_width", relative=0.25, absolute=None),
    Margin(metric="violation_rate", relative=None, absolute=0.005),
    Margin(metric="error_rate", relative=None, absolute=0.005),
)


class RolloutSettings(Frozen):
    """What a rollout is judged by; stated before it begins, and never changed while it runs."""

    margins: tuple[Margin, ...] = Field(MARGINS, max_length=50)
    alpha: float = Field(
        0.01, gt=0, lt=0.5, description="How often a candidate that is no worse is rolled back."
    )
    evidence: bool = Field(
        True, description="Whether a step of a canary or a shadow ends only on the verdict good."
    )
    # A gateway looks at Redis every second and at each notice: by then each one knows of the step,
    # and all begin it at the same time. See docs/steering.md.
    lead_seconds: float = Field(
        5.0, ge=0, le=60, description="So long after it was decided a step begins."
    )
    step_seconds: float = Field(
        6 * HOUR, gt=0, description="A step that has no verdict by then is aborted."
    )
    rollout_seconds: float = Field(
        72 * HOUR, gt=0, description="No wait goes beyond this, counted from the rollout's begin."
    )

    @model_validator(mode="after")
    def _a_step_fits(self) -> Self:
        if self.lead_seconds + self.step_seconds > self.rollout_seconds:
            raise ValueError(
                f"step_seconds {self.step_seconds:g} and lead_seconds {self.lead_seconds:g} are "
                f"more than rollout_seconds {self.rollout_seconds:g}: not even one step would fit"
            )
        return self


class MovedAliases(Frozen):
    """What becomes of an alias that names another model than the active version pins."""

    deploy: bool = Field(
        True,
        description="Whether the version that is made of it is deployed by itself, where no "
        "approvals are needed; else it is drafted, checked, and left to people.",
    )
    strategy: Literal["blue_green", "canary", "shadow"] = Field(
        "blue_green",
        description="How it is deployed; a model that had no version before is deployed at once.",
    )


class SteeringSettings(Frozen):
    """How versions come into force on this platform."""

    approvals_needed: int = Field(
        0, ge=0, le=10, description="Approvals by others than the author, before a deploy."
    )
    warm: int = Field(
        3, ge=1, le=6, description="So many versions that were active can be rolled back to."
    )
    versions_kept: int = Field(
        200,
        ge=5,
        le=1000,
        description="Lives in the state of versions that were deployed or withdrawn; older ones "
        "are filed.",
    )
    drafts_at_most: int = Field(
        100, ge=1, le=500, description="Versions that were neither deployed nor withdrawn yet."
    )
    drafts_per_author: int = Field(25, ge=1, le=500, description="The same, of one author.")
    overrides_at_most: int = Field(200, ge=0, le=1000)
    lock_seconds: float = Field(
        HOUR, gt=0, le=24 * HOUR, description="How long a lock may last at most."
    )
    rollout: RolloutSettings = RolloutSettings()
    aliases: MovedAliases = MovedAliases()
