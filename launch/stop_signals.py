"""Requests to stop, as signals make them."""

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from launch.stop_request import StopRequest

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Where Python cannot let an exception through, as in a destructor, it goes unheard: it is raised
# again until the start is left.
AGAIN_SECONDS = 0.3
PATIENCE = "Ballast ends after this step of the start; press Ctrl-C again to end it now."


class StopSignals:
    """Heard between the steps of a start; said twice, it breaks off the step under way."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._request = StopRequest()
        self._may_break_off = True

    @property
    def requested(self) -> bool:
        return self._request.made

    def wait(self, seconds: float) -> bool:
        return self._request.wait(seconds)

    def listen(self) -> None:
        """Take the signals; called again once Ray has put its own in their place."""
        for number in (*NUMBERS, signal.SIGALRM):
            signal.signal(number, self._on_signal)

    def settle(self) -> None:
        """From now on nothing is broken off: it runs, or is being ended in order."""
        self._may_break_off = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._may_break_off and self.requested:
            sys.unraisablehook = _unheard
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
            raise KeyboardInterrupt
        self._request.make()
        if self._may_break_off:
            # What the signal interrupted may be at the same output, which then refuses.
            with suppress(RuntimeError):
                self._say(PATIENCE)


def _unheard(what: "sys.UnraisableHookArgs") -> None:
    if what.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(what)
