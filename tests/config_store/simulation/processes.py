"""Processes that take turns at random, are held up at each command to Redis, and crash there."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any, Literal

from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.steering.commands import Actor, Command
from tests.config_store.simulation.simulated_redis import Connection

# What stands in a document that only a later release can read.
LATER = "of a later release"


@dataclass(frozen=True)
class Document:
    """As much of a configuration as steering looks at."""

    text: str

    @property
    def config_hash(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def canonical(self) -> bytes:
        return self.text.encode()


@dataclass
class Process:
    """A coroutine that is held up at a command to Redis."""

    name: str
    work: Coroutine[Any, Any, None]
    connection: Connection
    commands: tuple[Command, ...]
    by: Actor
    kind: Literal["change", "draft", "restore"] = "change"  # what it writes


class Processes:
    """Those that run; one of them at a time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._all: list[Process] = []
        self._running: Process | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def running(self) -> Process:
        assert self._running is not None
        return self._running

    def start(self, process: Process) -> None:
        self._all.append(process)
        self.resume(process)

    def any(self) -> Process | None:
        return self._random.choice(self._all) if self._all else None

    def resume(self, process: Process) -> bool:
        """Let it go on to its next command; tell whether it came to its end."""
        return self._go_on(process, lambda: process.work.send(None))

    def cut_off(self, process: Process) -> bool:
        """Break its connection: what it asked was not sent, or was done and the answer is lost."""
        away = RedisConnectionError("cut off")
        return self._go_on(process, lambda: process.work.throw(away))

    def _go_on(self, process: Process, step: Callable[[], None]) -> bool:
        self._running = process
        try:
            step()
        except StopIteration:
            self._all.remove(process)
            return True
        finally:
            self._running = None
        return False

    def end(self, process: Process) -> None:
        process.work.close()
        self._all.remove(process)

    def end_those_of(self, connection: Connection) -> None:
        for process in [each for each in self._all if each.connection is connection]:
            self.end(process)

    def end_all(self) -> None:
        for process in list(self._all):
            self.end(process)

    def finish(self) -> None:
        """Let each come to its end."""
        while self._all:
            self.resume(self._all[0])
