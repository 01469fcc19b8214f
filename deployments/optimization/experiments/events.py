"""What an experiment's log holds, in the form in which every release so far wrote it.

An event is a JSON object of steps. Most are lists by position, which is small; here each place has
its name. A step gets a new place at its end alone, with a default for the events without it.
"""

from typing import Any, Literal, NamedTuple, TypedDict

from deployments.optimization.experiments.operations import ArmChange


class Event(TypedDict, total=False):
    """Steps, taken in this order."""

    start: list[Any]
    add: list[str]
    """Names of arms."""
    decide: list[Any]
    reward: list[Any]
    withdraw: list[str]
    """Decisions that nobody was given."""
    arm: list[Any]
    delete: Literal[True]


class Started(NamedTuple):
    """The places of `start`."""

    design: dict[str, Any]
    arms: list[str]
    baseline: str


class Decided(NamedTuple):
    """The places of `decide`: all of a decision that the state depends on, to the bit."""

    decision: str
    at: float
    context: list[float]
    arm: int
    probabilities: list[float]
    on_baseline: bool
    price: float
    credit: float


class Rewarded(NamedTuple):
    """The places of `reward`."""

    decision: str
    reward: float
    at: float


class ArmChanged(NamedTuple):
    """The places of `arm`."""

    what: ArmChange
    arm: str


DELETED: Event = {"delete": True}
