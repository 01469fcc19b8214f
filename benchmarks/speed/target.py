"""Where the load goes, and who is asked to carry it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Target:
    url: str
    headers: Mapping[str, str]
    bodies: Path
    """One JSON body a line; they are sent in turn, so that no answer can be cached."""


@dataclass(frozen=True)
class Contender:
    """A server in one configuration. It runs, and only it, while `serve` is open."""

    name: str
    variant: str
    serve: Callable[[], AbstractContextManager[Target]]
    quantiles: Callable[[Any], Sequence[float]] | None
    """Finds the model's quantiles in an answer; None for Ballast, which widens its interval."""
