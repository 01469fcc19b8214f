"""Caps: how far one automatic answer may move the platform, whatever the model says."""

from pydantic import Field

from safety.limits import Level, Range, Relation, Repair
from settings.frozen import Frozen

# No automatic experiment may ever put more of the traffic at risk; a policy may only lower it.
HIGHEST_CANARY_PERCENTAGE = 10.0

WORKERS = "autoscale_workers"
WORKERS_NOW = "active_workers"
ADMIT_FRACTION = "admit_fraction"
CANARY_PERCENTAGE = "canary_percentage"


class Caps(Frozen):
    """Each cap holds for every family that answers the field it governs."""

    # Doubling a fleet in one step is the most that a scheduler and its databases take calmly.
    max_scale_factor: float = Field(2.0, gt=1)
    # A wrong forecast then costs at most this many workers, up or down, until the next answer.
    max_workers_step: float = Field(20.0, ge=1)
    # Shedding nine requests in ten is the most that is done without a person.
    min_admit_fraction: float = Field(0.1, gt=0, le=1)
    max_canary_percentage: float = Field(
        HIGHEST_CANARY_PERCENTAGE, ge=0, le=HIGHEST_CANARY_PERCENTAGE
    )

    def ranges(self, outputs: tuple[str, ...]) -> tuple[Range, ...]:
        ranges = (
            Range(
                field=ADMIT_FRACTION,
                low=self.min_admit_fraction,
                level=Level.UNSAFE,
                repair=Repair.CLAMP,
                message="More traffic would be shed than is allowed without an "
                "operator's approval.",
            ),
            Range(
                field=CANARY_PERCENTAGE,
                high=self.max_canary_percentage,
                level=Level.UNSAFE,
                repair=Repair.CLAMP,
                message="The canary would take more traffic than an experiment may.",
            ),
        )
        return tuple(limit for limit in ranges if limit.field in outputs)

    def relations(self, outputs: tuple[str, ...]) -> tuple[Relation, ...]:
        return (self._growth(), self._step_up(), self._step_down()) if WORKERS in outputs else ()

    def _growth(self) -> Relation:
        return Relation(
            lesser=WORKERS,
            greater=WORKERS_NOW,
            factor=self.max_scale_factor,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="The fleet would grow by more than the scale factor allows at once.",
        )

    def _step_up(self) -> Relation:
        return Relation(
            lesser=WORKERS,
            greater=WORKERS_NOW,
            margin=self.max_workers_step,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="More workers would be added at once than one step allows.",
        )

    def _step_down(self) -> Relation:
        return Relation(
            lesser=WORKERS_NOW,
            greater=WORKERS,
            margin=self.max_workers_step,
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message="More workers would be removed at once than one step allows.",
        )
