"""What a study's log holds, in the form in which every release so far wrote it.

An event is a JSON object of steps. Most are lists by position, which is small; here each place has
its name. A step gets a new place at its end alone, with a default for the events without it.
"""

from typing import Any, Literal, NamedTuple, TypedDict


class Event(TypedDict, total=False):
    """Steps, taken in this order."""

    start: dict[str, Any]
    """The design."""
    history: list[list[Any]]
    ask: list[Any]
    tell: list[Any]
    withdraw: list[str]
    """Decisions whose trials nobody was given."""
    given: list[Any]
    delete: Literal[True]


class RunElsewhere(NamedTuple):
    """The places of each trial in `history`."""

    parameters: dict[str, Any]
    values: list[float]
    constraints: list[float]
    failed: bool


class TrialAsked(NamedTuple):
    """The places of `ask`."""

    decision: str
    parameters: dict[str, Any]
    gain: float | None
    """What was hoped for; None where no model was asked."""


class TrialGiven(NamedTuple):
    """The places of `given`: a trial that was withdrawn, and who has it now."""

    decision: str
    number: int


class TrialTold(NamedTuple):
    """The places of `tell`."""

    number: int
    values: list[float]
    constraints: list[float]
    failed: bool


DELETED: Event = {"delete": True}
