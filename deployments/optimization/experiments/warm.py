"""Decides once, so that the first request of a replica waits for no compiler."""

from functools import cache
from typing import get_args

from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.keeper import ExperimentKeeper
from deployments.optimization.experiments.operations import Decide, Policy
from deployments.runtime.state.keeper import Asked


@cache
def warm() -> None:
    """Go the whole way of a decision, with a keeper that nobody else has."""
    keeper = ExperimentKeeper(lambda: 0.0)
    policies: tuple[Policy, ...] = get_args(Policy)
    for policy in policies:
        ask = Decide(op="decide", context={"x": 0.5}, policy=policy, arms=["a", "b"])
        keeper.answer([(keeper.fresh("warm"), Asked("warm", "warm", ask, settings=Configured()))])
