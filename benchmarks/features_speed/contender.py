"""Who is measured: something that answers questions of each size while it is open."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.speed.target import Target
from benchmarks.speed.wrk import ClosedLoop, closed_loop


class WrongAnswerError(RuntimeError):
    """A contender answered other values than those that were stored."""


class Reader(Protocol):
    """Answers so many entities a question to so many clients, for so long."""

    def measure(self, size: int, clients: int, seconds: int) -> ClosedLoop: ...


@dataclass(frozen=True)
class Contender:
    """A reader in one configuration. It runs, and only it, while `serve` is open."""

    name: str
    variant: str
    serve: Callable[[], AbstractContextManager[Reader]]


@dataclass(frozen=True)
class OverHttp:
    """A server: wrk asks it, with the bodies of a file for each size."""

    targets: Mapping[int, Target]

    def measure(self, size: int, clients: int, seconds: int) -> ClosedLoop:
        return closed_loop(self.targets[size], clients, seconds)


def refuse_other_values(who: str, got: Sequence[float], expected: Sequence[float]) -> None:
    """Compare what was answered with what was stored, before anything is measured."""
    same = len(got) == len(expected) and all(
        math.isclose(a, b, rel_tol=1e-9) for a, b in zip(got, expected, strict=True)
    )
    if not same:
        raise WrongAnswerError(f"{who} answered {got}, and {expected} was stored")
