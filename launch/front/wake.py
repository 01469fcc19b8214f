"""A wait that signals cut short: the end of a child, or the order to end."""

import select
import signal
import socket
from types import FrameType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalWaiter:
    """Takes the process's signals while it is open."""

    def __init__(self) -> None:
        self.end_ordered = False
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        # A signal that is ignored wakes nobody up.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in ENDING:
            signal.signal(number, self._order_end)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float) -> None:
        if select.select([self._reader], [], [], seconds)[0]:
            self._reader.recv(4096)

    def _order_end(self, _number: int, _frame: FrameType | None) -> None:
        self.end_ordered = True
