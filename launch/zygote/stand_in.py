"""Stands where Ray started a worker, while a fork of the zygote does the work.

Ray knows a worker by the id that it gave it, and learns the process from the worker itself, as it
must for workers in containers. So the process that it started has nothing to do but to be there.
"""

import os
import socket
import sys

from deployments.runtime.ray_internals import WORKER_FILE
from launch.zygote.order import (
    PATIENCE_SECONDS,
    SOCKET,
    STARTED,
    STATUS,
    Order,
    own_order,
    send,
)

WORKER = f"/ray/{WORKER_FILE}"


def hand_over() -> None:
    """Have the zygote do what this process was started for; return if that does not suit."""
    order, socket_path = order_of(sys.orig_argv), os.environ.get(SOCKET)
    if order is None or socket_path is None:
        return
    status = fork_worker(socket_path, order)
    if status is not None:
        # Nothing was begun here that would have to be ended.
        os._exit(status)


def order_of(command: list[str]) -> Order | None:
    """Read a worker's command; None when it is another program, or Python with options."""
    if len(command) > 1 and command[1].endswith(WORKER):
        return own_order(command[1:])
    return None


def fork_worker(socket_path: str, order: Order) -> int | None:
    """Let the zygote begin the worker and wait for its end; None when the zygote does not."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        try:
            connection.connect(socket_path)
            send(connection, order)
            if connection.recv(1) != STARTED:
                return None
        except OSError:
            return None
        connection.settimeout(None)
        return _end_of(connection)


def _end_of(connection: socket.socket) -> int:
    try:
        told = connection.recv(STATUS.size)
    except OSError:
        told = b""
    # The zygote went first: the worker has ended, since it holds the other end too.
    return STATUS.unpack(told)[0] if len(told) == STATUS.size else 1
