"""The replica's end of both transports: a frame is answered, or its failure is."""

import logging
from collections.abc import Awaitable, Callable

from deployments.runtime.transport.call import BatchRefusedError, Call, GivenUpError, current_call
from deployments.runtime.transport.frame import ANSWER, FAILURE, Frame, encode

Handler = Callable[[Frame], Awaitable[Frame]]

log = logging.getLogger(__name__)


async def answered(handler: Handler, number: int, frame: Frame, call: Call) -> bytes:
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
