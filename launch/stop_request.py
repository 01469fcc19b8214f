"""A request to stop: made by the handler of a signal, which may run at any moment."""

import os
import select
import weakref
from contextlib import suppress


class StopRequest:
    """Made once, it stays made.

    It takes no lock, as a threading.Event would: the handler runs in the main thread, between any
    two of its steps, and would wait for ever for a lock that the main thread holds just then.
    """

    def __init__(self) -> None:
        self.made = False
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
            weakref.finalize(self, os.close, end)

    def make(self) -> None:
        self.made = True
        with suppress(BlockingIOError):  # it is full of requests
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> bool:
        """Wait for it so long; tell whether it was made."""
        if not self.made:
            # Nobody takes out what was written: whoever waits next is woken as well.
            poll = select.poll()
            poll.register(self._reader, select.POLLIN)
            poll.poll(seconds * 1000)
        return self.made
