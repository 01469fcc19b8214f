"""How the process that answers begins: it imports everything, then waits for its socket.

`python -m launch.dev.process BEGUN`; BEGUN is when it was started, by the monotonic clock. Its
input is a socket, by which it is handed the one to listen on. It ends when its input does: with
the process that started it, however that ends.
"""

import gc
import socket
import sys
from importlib import import_module

ANSWERS = "launch.dev.platform"


def main() -> None:
    gc.disable()  # next to nothing of what is imported is garbage
    platform = import_module(ANSWERS)
    platform.load_first()
    gc.freeze()
    gc.enable()
    line = socket.socket(fileno=sys.stdin.fileno())
    _, handed, _, _ = socket.recv_fds(line, 16, 1)
    if handed:  # else whoever started this has ended meanwhile
        platform.answer(socket.socket(fileno=handed[0]), line, float(sys.argv[1]))


if __name__ == "__main__":
    main()
