"""The call that is being answered: whether anybody still waits for it."""

from contextvars import ContextVar
from dataclasses import dataclass


class GivenUpError(Exception):
    """Nobody waits for the answer any more, and nothing was done."""


class BatchRefusedError(Exception):
    """This replica cannot have the batch's version, and did nothing; the message says why.

    Its name goes over the wire: callers ask another replica.
    """


@dataclass(slots=True)
class Call:
    given_up: bool = False
    # The caller said so: it asks nobody else. One whose connection broke may.
    for_good: bool = False

    def give_up(self) -> None:
        """Note that the caller has given up, and asks nobody else."""
        self.given_up = self.for_good = True


# Each call is answered in a task of its own; outside of one somebody always waits.
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)


def given_up() -> bool:
    """Tell whether the caller has given up: what was not done yet need not be done any more."""
    call = current_call.get()
    return call is not None and call.given_up


def given_up_for_good() -> bool:
    """Tell whether the caller has said so, and asks no other replica for the same."""
    call = current_call.get()
    return call is not None and call.for_good
