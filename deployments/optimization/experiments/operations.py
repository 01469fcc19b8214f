"""What experiments are asked: the gateway writes it, the handler of experiments reads it."""

from typing import Any, Literal, NotRequired, TypedDict

from deployments.runtime.state.operations import Delete, Show, Withdraw

Policy = Literal["ucb", "thompson"]
ArmChange = Literal["open", "retire", "baseline"]


class Decide(TypedDict):
    """Choose an arm."""

    op: Literal["decide"]
    context: dict[str, float]
    policy: Policy
    arms: NotRequired[list[str]]
    design: NotRequired[dict[str, Any]]
    """What the request states of it, as models/optimization/bandits reads it."""


class Reward(TypedDict):
    """Learn what a decision was worth."""

    op: Literal["reward"]
    decision: str
    reward: float


class Freeze(TypedDict):
    """Give the experiment as it is, for a policy to be judged on it."""

    op: Literal["freeze"]
    policy: str
    """One of the policies, or an arm."""


class ChangeArm(TypedDict):
    """Add an arm or bring one back, retire one, or make one the baseline."""

    op: Literal["arm"]
    what: ArmChange
    arm: str


Look = Freeze | Show | Delete
Operation = Decide | Reward | ChangeArm | Withdraw | Look
