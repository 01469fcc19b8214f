"""What streams are asked: the gateway writes it, the handlers of this deployment read it."""

from typing import Generic, Literal, NotRequired, TypedDict, TypeVar

from deployments.runtime.state.operations import Delete, Show

Value = TypeVar("Value")
Choice = TypeVar("Choice")


class Observe(TypedDict, Generic[Value, Choice]):
    """Observations in the order of their time; deployments/anomaly/order.py says which are taken.

    Thousands of these travel each second, so what a client leaves out is left out here too.
    """

    op: Literal["observe"]
    values: list[Value]
    ts: NotRequired[float | list[float]]
    """In epoch seconds: one time for all, or one each."""
    sequence: NotRequired[int]
    """The client's number of the first observation."""
    cadence: NotRequired[int]
    """Of observations that there is one of for each interval of so many seconds, which begins at
    its `ts`: one of an interval that was taken is a duplicate, and intervals left out are counted.
    """
    choice: NotRequired[Choice]


class Fleet(TypedDict):
    """What a stream of a fleet's points is begun with."""

    detector: Literal["fleet"]
    members: int
    weights: NotRequired[list[float]]


class Recall(TypedDict):
    """What is said of an entity by its telemetry; of one metric, or of the likeliest to change."""

    op: Literal["recall"]
    entity: str
    metric: NotRequired[str]


class JudgeDeploy(TypedDict):
    """Whether a deploy changed the regime of a stream."""

    op: Literal["gate"]
    at: float
    window: float
    prior: float


PointChoice = str | Fleet
"""A detector by its name, or a fleet."""
ObserveNumbers = Observe[float, float]
"""For change points; the choice is the expected run length."""
ObservePoints = Observe[list[float], PointChoice]
"""For anomalies."""
Look = Show | Delete | JudgeDeploy
"""What is asked of a stream beside observing it; only regimes judge a deploy."""
