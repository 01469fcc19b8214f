"""Keeps Ray's random numbers from beginning in the zygote: forks would share them, and their ids.

Ray's native part draws ids from generators that it seeds when the first id is drawn, and a fork
does not seed them again. Two workers that give their tasks the same ids end with a failed check of
Ray's. In Python only a class of actors draws an id when it is imported, so it is given one from the
system instead; and before anything is forked, two trial forks must draw different ids.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray.actor
from ray import ActorClassID, WorkerID


class _FromTheSystem:
    """Stands for ActorClassID; only where its ids come from differs."""

    def from_random(self) -> Any:
        return ActorClassID(os.urandom(ActorClassID.size()))

    def __call__(self, *arguments: Any) -> Any:
        return ActorClassID(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(ActorClassID, name)


@contextmanager
def ids_from_the_system() -> Iterator[None]:
    ray.actor.ActorClassID = _FromTheSystem()
    try:
        yield
    finally:
        ray.actor.ActorClassID = ActorClassID


def forks_differ() -> bool:
    """Tell whether two forks of this process draw different ids, in old threads and in new."""
    one, other = _drawn_in_a_fork(), _drawn_in_a_fork()
    return bool(one and other) and not (one & other)


def _drawn_in_a_fork() -> set[bytes]:
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(sink, b"".join(_drawn()))
        finally:
            os._exit(0)
    os.close(sink)
    with os.fdopen(source, "rb") as told:
        content = told.read()
    os.waitpid(pid, 0)
    size = WorkerID.size()
    return {content[at : at + size] for at in range(0, len(content), size)}


def _drawn() -> list[bytes]:
    ids = [WorkerID.from_random().binary()]
    thread = threading.Thread(target=lambda: ids.append(WorkerID.from_random().binary()))
    thread.start()
    thread.join()
    return ids
