"""What has to be done to a version that was never deployed before it can be."""

from enum import StrEnum
from typing import NamedTuple

from config_store.steering.settings import SteeringSettings
from config_store.steering.state import VersionLife


class Step(StrEnum):
    CORRECT = "correct"  # its validation refused it
    VALIDATE = "validate"
    APPROVE = "approve"  # by others, who also acknowledge what was found
    ACKNOWLEDGE = "acknowledge"  # enough approve, and what was found none of them has named
    DEPLOY = "deploy"


class NextStep(NamedTuple):
    """The step, and what it takes."""

    step: Step
    missing: int = 0
    """So many approvals."""
    unseen: tuple[str, ...] = ()
    """What was found in the safety policy, and has to be acknowledged."""


def next_of(life: VersionLife, settings: SteeringSettings) -> NextStep:
    if life.refusal:
        return NextStep(Step.CORRECT)
    if life.checked is None:
        return NextStep(Step.VALIDATE)
    needed = settings.approvals_needed
    missing, unseen = max(0, needed - len(life.approved_by)), life.unacknowledged(needed)
    if missing:
        return NextStep(Step.APPROVE, missing, unseen)
    return NextStep(Step.ACKNOWLEDGE, unseen=unseen) if unseen else NextStep(Step.DEPLOY)
