"""Stands for the process that answers: it begins as that does, and says what it comes to."""

import socket
import sys
from types import ModuleType

from launch.dev import process


class Answers(ModuleType):
    """What `launch.dev.platform` is to the real one."""

    def load_first(self) -> None:
        say("begun")

    def answer(self, listening: socket.socket, line: socket.socket, _begun: float) -> None:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        say("listening")
        assert line.recv(1) == b""
        say("ended")


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


sys.modules[process.ANSWERS] = Answers(process.ANSWERS)
process.main()
