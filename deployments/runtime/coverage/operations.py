"""What the handler of coverage is asked: to take an outcome."""

from typing import NotRequired, TypedDict


class GivenInterval(TypedDict):
    """An interval that a client was given."""

    lower: float
    upper: float
    """The ends before the online layer."""
    offset: float
    """By which the online layer had moved them."""


class IntervalOutcome(GivenInterval):
    """What came true of it."""

    truth: float


class TakeOutcome(IntervalOutcome):
    decision: str
    """By which an outcome that comes twice is known."""
    given: NotRequired[bool]
    """Whether a client got the interval; it is left out where one did."""
