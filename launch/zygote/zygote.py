"""Waits for stand-ins, forks a worker for each, and tells them how it ended."""

import gc
import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from launch.zygote.order import (
    DECLINED,
    PATIENCE_SECONDS,
    STARTED,
    STATUS,
    Order,
    receive,
)

Accepts = Callable[[Order], bool]


class Fork(Exception):  # noqa: N818 - no error: it is how a fork leaves the loop it was made in
    """Raised in a fork alone, so that nothing of the zygote stands below its work."""

    def __init__(self, order: Order, streams: list[int]) -> None:
        self.order = order
        self.streams = streams


class Zygote:
    """One thread, on purpose: what a fork of several would hold is anybody's guess."""

    def __init__(self, socket_path: Path, parent_input: int, accepts: Accepts) -> None:
        self._accepts = accepts
        self._parent_input = parent_input
        self._waiting: dict[int, socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path))
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._ended, self._told = socket.socketpair()
        self._told.setblocking(False)
        self._ended.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._selector = selectors.DefaultSelector()
        for source in (self._listener, self._ended, parent_input):
            self._selector.register(source, selectors.EVENT_READ)

    def serve(self, patience_s: float | None = None) -> bool:
        """Do what there is to do; False once whoever started the zygote is gone."""
        ready = {key.fd for key, _ in self._selector.select(patience_s)}
        if self._ended.fileno() in ready:
            self._ended.recv(4096)
            self._tell_ends()
        if self._listener.fileno() in ready:
            self._take_all()
        return self._parent_input not in ready

    def _take_all(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_SECONDS)
        try:
            order, streams = receive(connection)
        except (OSError, ValueError):
            connection.close()
            return
        if self._accepts(order):
            self._fork(connection, order, streams)
        else:
            with suppress(OSError):  # it lost patience, and starts as Ray does
                connection.sendall(DECLINED)
            connection.close()
        for stream in streams:
            os.close(stream)

    def _fork(self, connection: socket.socket, order: Order, streams: list[int]) -> None:
        try:
            connection.sendall(STARTED)
        except OSError:
            connection.close()  # it lost patience, and starts as Ray does
            return
        gc.freeze()  # what is there is shared for good: a collection would touch, and so copy it
        pid = os.fork()
        if pid == 0:
            self._let_go()
            # Its end of the connection stays open: the stand-in is there for as long as it is.
            connection.detach()
            raise Fork(order, streams)
        self._waiting[pid] = connection

    def _let_go(self) -> None:
        signal.set_wakeup_fd(-1)
        self._selector.close()
        os.close(self._parent_input)
        for each in (self._listener, self._ended, self._told, *self._waiting.values()):
            each.close()

    def _tell_ends(self) -> None:
        for pid in list(self._waiting):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            connection = self._waiting.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            try:
                connection.sendall(STATUS.pack(code if code >= 0 else 128 - code))
            except OSError:
                continue  # the stand-in was ended before
            finally:
                connection.close()
