"""The front as a process of its own: `python -m launch.front`.

`ballast up` gives it a listening socket, and starts it again when it is killed. On a node of a
cluster it opens the socket itself, after it has ended the front that was there before.
"""

import argparse
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import orjson

from launch import own_processes
from launch.front.configuration import Limits
from launch.front.haproxy_process import real_binary
from launch.front.listening import listen
from launch.front.servers import FOLDER_VARIABLE
from launch.front.wake import SignalWaiter
from launch.front.watchdog import TICK_SECONDS, Watchdog, processes_of
from observability.logs import set_up
from settings.environment import Settings

OWN_PID = "front.json"
FORMER_ENDS_WITHIN_SECONDS = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listener", type=int, help="the file descriptor of an inherited socket")
    parser.add_argument("--parent", type=int, help="end when this process ends")
    given = parser.parse_args()
    settings = Settings()
    set_up(settings.log_level)
    folder = Path(os.environ[FOLDER_VARIABLE])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with SignalWaiter() as wake, _listener(given.listener, settings, folder) as listener:
        limits = Limits.of_this_machine(settings.max_connections_per_address)
        watchdog = Watchdog(listener, folder, real_binary(), limits, time.monotonic)
        while not wake.end_ordered and given.parent in (None, os.getppid()):
            watchdog.tend()
            wake.wait(TICK_SECONDS)
        watchdog.stop()


def _listener(inherited: int | None, settings: Settings, folder: Path) -> socket.socket:
    if inherited is not None:
        return socket.socket(fileno=inherited)
    _end_former(folder / OWN_PID)
    for process in processes_of(folder):
        process.kill()
    own = (os.getpid(), own_processes.started_at(os.getpid()))
    (folder / OWN_PID).write_bytes(orjson.dumps(own))
    return listen(settings.host, settings.port)


def _end_former(file: Path) -> None:
    """End the front that runs on this node, if one does; one that hangs is killed."""
    try:
        pid, started = orjson.loads(file.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return
    until = time.monotonic() + FORMER_ENDS_WITHIN_SECONDS
    with suppress(ProcessLookupError):
        if own_processes.alive(pid, started):
            os.kill(pid, signal.SIGTERM)
        while own_processes.alive(pid, started):
            time.sleep(TICK_SECONDS)
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
