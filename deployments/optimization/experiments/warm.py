"""Decides once, so that the first request of a replica waits for no compiler."""

from functools import cache
from typing import get_args

from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.handler import ExperimentHandler
from deployments.optimization.experiments.operations import Decide, Policy
from deployments.runtime.state.handler import StateRequest


@cache
def warm() -> None:
    """Go the whole way of a decision, with a handler that nobody else has."""
    handler = ExperimentHandler(lambda: 0.0)
    policies: tuple[Policy, ...] = get_args(Policy)
    for policy in policies:
        ask = Decide(op="decide", context={"x": 0.5}, policy=policy, arms=["a", "b"])
        handler.answer(
            [(handler.fresh("warm"), StateRequest("warm", "warm", ask, settings=Configured()))]
        )
