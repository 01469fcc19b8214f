"""What studies are asked: the gateway writes it, the handler of studies reads it."""

from typing import Any, Literal, NotRequired, TypedDict

from deployments.runtime.state.operations import Delete, Show, Withdraw


class TrialOutcome(TypedDict):
    """What came of a trial."""

    values: list[float]
    """One for each goal; none where it failed."""
    constraints: dict[str, float]
    failed: bool


class PastTrial(TrialOutcome):
    """A trial that was run elsewhere."""

    parameters: dict[str, Any]


class AskTrial(TypedDict):
    """Suggest the next trial."""

    op: Literal["ask"]
    design: dict[str, Any]
    """What the request states of it, as models/optimization/bayes reads it."""
    wait: NotRequired[float]
    """For how many seconds, where no suggestion is ready."""
    history: NotRequired[list[PastTrial]]


class TellTrial(TrialOutcome):
    """Learn what came of a trial."""

    op: Literal["tell"]
    trial: int


class Wake(TypedDict):
    """Prepare suggestions."""

    op: Literal["wake"]


Look = Show | Delete | Wake
Operation = AskTrial | TellTrial | Withdraw | Look
