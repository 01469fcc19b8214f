"""Keeps the front at work: whatever happens to HAProxy, the port stays open and is served again.

The listening socket belongs to this process. A HAProxy that dies leaves it behind, open: clients
that connect meanwhile wait in its queue, and the next HAProxy serves them.
"""

import logging
import socket
from collections.abc import Callable
from pathlib import Path

import orjson

from launch import own_processes
from launch.front.configuration import Limits, configuration, write_pages
from launch.front.haproxy_process import CONFIG, HAProxy, answers, is_valid
from launch.front.servers import Published, Server

TICK_SECONDS = 0.1
ASK_EVERY_SECONDS = 0.5
HANGS_AFTER_SECONDS = 2.0
# A machine that is merely slow must not get one HAProxy after the other.
NOT_AGAIN_FOR_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 2.0
REFUSED_AGAIN_SECONDS = 5.0
PROCESSES = "haproxy.json"
PROGRAM = "haproxy"

log = logging.getLogger(__name__)


class Watchdog:
    """One listening socket and the HAProxy processes that serve it."""

    def __init__(
        self,
        listener: socket.socket,
        folder: Path,
        binary: Path,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._listener = listener.fileno()
        self._folder = folder
        self._binary = binary
        self._limits = limits
        self._clock = clock
        self._published = Published(folder)
        self._servers: list[Server] | None = None  # None: HAProxy has taken no configuration yet
        self._refused: list[Server] | None = None
        self._refused_at = clock()
        self._current: HAProxy | None = None
        self._leaving = processes_of(folder)
        self._started = self._heard = self._asked = clock()
        self._took_over = clock() - NOT_AGAIN_FOR_SECONDS
        self._pause = 0.0
        write_pages(folder)
        self._reconfigured()

    @property
    def haproxy(self) -> int | None:
        return None if self._current is None else self._current.pid

    def tend(self) -> None:
        """Look at everything once, and do what is to be done."""
        self._leaving = [each for each in self._leaving if not each.exited]
        changed = self._reconfigured()
        if self._current is None or self._current.exited:
            self._start_again()
        elif changed:
            self._start()
        elif self._hangs():
            log.warning(
                "HAProxy %d does not answer: another process replaces it", self._current.pid
            )
            self._took_over = self._clock()
            self._start()

    def stop(self) -> None:
        """End every HAProxy of this folder."""
        known = [*self._leaving, *([self._current] if self._current else [])]
        for process in [*known, *processes_of(self._folder)]:
            process.kill()
        (self._folder / PROCESSES).unlink(missing_ok=True)

    def _reconfigured(self) -> bool:
        """Write a configuration of the gateways where they are others; say whether one is new.

        One that HAProxy refuses is tried again: a machine that is out of memory refuses all.
        """
        servers, now = self._published.read(), self._clock()
        if servers == self._servers:
            return False
        if servers == self._refused and now - self._refused_at < REFUSED_AGAIN_SECONDS:
            return False
        if self._configure(servers):
            self._servers, self._refused = servers, None
            return True
        self._refused, self._refused_at = servers, now
        return False

    def _configure(self, servers: list[Server]) -> bool:
        draft = self._folder / f"{CONFIG}.new"
        draft.write_text(configuration(self._folder, self._listener, self._limits, servers))
        if not is_valid(self._binary, draft, self._listener):
            log.error("HAProxy refuses the configuration %s and keeps the previous one", draft)
            return False
        draft.replace(self._folder / CONFIG)
        return True

    def _start_again(self) -> None:
        now = self._clock()
        if now < self._started + self._pause:
            return
        if self._current is not None:
            log.warning("HAProxy %d has ended: another process is started", self._current.pid)
        # At once for the first time; one that dies at each start gets longer and longer pauses.
        lived = now - self._started
        self._pause = (
            0.0
            if lived > LONGEST_PAUSE_SECONDS
            else min(2 * self._pause + 0.1, LONGEST_PAUSE_SECONDS)
        )
        self._start()

    def _start(self) -> None:
        """Start a HAProxy; those before it finish what they have."""
        if self._current is not None and not self._current.exited:
            self._leaving.append(self._current)
        known = {each.pid for each in self._leaving}
        self._leaving += [each for each in processes_of(self._folder) if each.pid not in known]
        self._current = HAProxy.start(self._binary, self._folder, self._listener, self._leaving)
        self._started = self._heard = self._asked = self._clock()
        rows = [(each.pid, each.started) for each in (self._current, *self._leaving)]
        # For whoever looks; the watchdog itself asks the system. At once or not at all.
        draft = self._folder / f"{PROCESSES}.tmp"
        draft.write_bytes(orjson.dumps(rows))
        draft.replace(self._folder / PROCESSES)

    def _hangs(self) -> bool:
        now = self._clock()
        if now - self._asked >= ASK_EVERY_SECONDS:
            self._asked = now
            if answers(self._folder):
                self._heard = now
        silent = now - self._heard > HANGS_AFTER_SECONDS
        return silent and now - self._took_over > NOT_AGAIN_FOR_SECONDS


def processes_of(folder: Path) -> list[HAProxy]:
    """Find every HAProxy that serves this folder, whichever watchdog started it.

    The system is asked, not a list in a file: a watchdog that is killed between starting one and
    writing it down would leave it behind with the port open, answering for gateways long gone.
    """
    return [HAProxy(*each) for each in own_processes.running(PROGRAM, str(folder / CONFIG))]
