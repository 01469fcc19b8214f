"""What a stand-in sends to the zygote: the command, and all that a process inherits.

Nothing but the standard library, and little of that: a stand-in imports this before anything else.
"""

import json
import os
import resource
import socket
import struct
import sys
from typing import Any

SOCKET = "BALLAST_ZYGOTE"
LENGTH = struct.Struct("!I")
STATUS = struct.Struct("!i")
STARTED = b"+"
DECLINED = b"-"
STREAMS = (0, 1, 2)
PATIENCE_SECONDS = 10.0

# What a worker reads once and for all when it imports Ray, and so what the zygote must have read:
# that it is of no job yet. Ray starts such workers too, and gives them a job with their first task.
JOB = "RAY_JOB_ID"
NO_JOB = "ffffffff"
# A worker ends when this process does. Ray means the raylet, which there is not yet.
RAYLET_PID = "RAY_RAYLET_PID"

Order = dict[str, Any]


def own_order(command: list[str]) -> Order:
    """Describe this process, so that another can be made its like."""
    return {
        "command": command,
        "python": sys.executable,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes its time
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "leads_group": os.getpgrp() == os.getpid(),
        "oom_score": oom_score(),
    }


def oom_score() -> str:
    with open("/proc/self/oom_score_adj") as file:  # noqa: PTH123 - pathlib takes its time
        return file.read().strip()


def send(connection: socket.socket, order: Order) -> None:
    content = json.dumps(order).encode()
    socket.send_fds(connection, [LENGTH.pack(len(content))], list(STREAMS))
    connection.sendall(content)


def receive(connection: socket.socket) -> tuple[Order, list[int]]:
    """Take an order and the three streams that come with it."""
    header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, len(STREAMS))
    (length,) = LENGTH.unpack(header)
    order: Order = json.loads(exactly(connection, length))
    return order, streams


def exactly(connection: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = connection.recv(length - len(content))
        if not piece:
            raise ConnectionError("the other end closed the connection in the middle of a message")
        content += piece
    return content
