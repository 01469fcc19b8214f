"""Stands between Serve and HAProxy: tells the front where the gateways are, then becomes HAProxy.

Serve writes a configuration and starts the program that RAY_SERVE_HAPROXY_BINARY_PATH names: this
command, `ballast-haproxy`. The gateways' addresses go to the front (launch/front), and
only the front takes requests. The HAProxy that Serve starts, and asks for its state, serves nobody:
all its listeners become sockets that only their owner can open.

So nobody outside notices when it dies, or Serve's actor that minds it: the front goes on with the
gateways that it knows.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from launch.front.haproxy_process import real_binary
from launch.front.servers import FOLDER_VARIABLE, gateways_in, publish

_PR_SET_PDEATHSIG = 1


def closed(config: str, folder: Path) -> str:
    """Move every listener of Serve's configuration into a folder; twice changes nothing more."""
    # By number, because a socket's path must be short.
    listeners = (folder / f"{number}.sock" for number in count())
    return "\n".join(_edited(line, listeners) for line in config.splitlines()) + "\n"


def _edited(line: str, listeners: Iterator[Path]) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    match line.split():
        case ["bind", _, *_]:
            return f"{indent}bind unix@{next(listeners)} mode 600"
        case ["stats", "socket", *_]:
            return line.replace("mode 666", "mode 600")
        case ["log", *_]:
            return f"{indent}# nothing to log: it serves nobody"
        case _:
            return line


def main() -> None:
    """Read and edit the file behind -f, then become HAProxy."""
    arguments = sys.argv[1:]
    config = Path(arguments[arguments.index("-f") + 1])
    publish(Path(os.environ[FOLDER_VARIABLE]), gateways_in(config.read_text()))
    config.write_text(closed(config.read_text(), config.parent))
    _end_with_parent()
    os.execv(str(real_binary()), ["haproxy", *arguments])  # noqa: S606 - becoming it is the point


def _end_with_parent() -> None:
    """Have the kernel end this process, and what it becomes, with the actor that started it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
