"""The replica's end of both transports: a call is answered, and knows whether anybody waits for it.

A frame is answered, or its failure is.
"""

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

from deployments.runtime.transport.frame import ANSWER, FAILURE, Frame, encode

Handler = Callable[[Frame], Awaitable[Frame]]

log = logging.getLogger(__name__)


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


async def answer_call(handler: Handler, number: int, frame: Frame, call: Call) -> bytes:
    """Give the bytes of the answer; runs in a task of its own for each call."""
    if call.given_up:  # while the frame lay unread, in a replica that hung
        return _failure(number, GivenUpError())
    current_call.set(call)
    try:
        return encode(await handler(frame), number, ANSWER)
    except GivenUpError as nobody_waits:
        return _failure(number, nobody_waits)
    except BatchRefusedError as refused:
        log.warning("A batch was refused: %s", refused)
        return _failure(number, refused)
    except Exception as error:  # the caller must hear of it, whatever it is
        log.exception("A batch could not be answered")
        return _failure(number, error)


def _failure(number: int, error: Exception) -> bytes:
    return encode(Frame({}, {"error": type(error).__name__}), number, FAILURE)
