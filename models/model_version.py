"""One version of one model: what it is called, where it lies, how it did."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Self

from models.errors import InvalidNameError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]*")
_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Semver(NamedTuple):
    """A version such as 1.2.0; versions of one model compare as numbers."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read 1.2.0 or v1.2.0."""
        if not (found := _VERSION.fullmatch(text)):
            raise InvalidNameError(f"version {text!r} is not of the form 1.0.0 or v1.0.0")
        return cls(*(int(part) for part in found.groups()))

    def next_minor(self) -> Self:
        return type(self)(self.major, self.minor + 1, 0)


FIRST = Semver(1, 0, 0)
# The tag that says whose telemetry a version learned from.
TELEMETRY, DEMO, MEASURED = "telemetry", "demo", "measured"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version; its files never change."""

    name: str
    version: str
    path: Path
    created: datetime
    aliases: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    # Of the files; empty for a version that release 0.1.0 registered.
    digest: str = ""

    @property
    def of_demo(self) -> bool:
        """Whether it learned from made-up telemetry."""
        return self.tags.get(TELEMETRY) == DEMO

    def is_same_model(self, other: "ModelVersion") -> bool:
        """Tell whether both name the same files: a number alone may be given out twice.

        That happens where the registry's database was lost, and counts from 1.0.0 again.
        """
        mine = (self.name, self.version, self.digest)
        return mine == (other.name, other.version, other.digest)


def folder_name(name: str) -> str:
    """Spell a name such as tail/xgboost-quantile without the slash MLflow and a folder refuse."""
    if not _NAME.fullmatch(name):
        raise InvalidNameError(
            f"model name {name!r}: use lower-case words, digits, - and _, separated by /"
        )
    return name.replace("/", ".")  # no name has a dot, so the spelling can be undone


def name_of(folder: str) -> str:
    return folder.replace(".", "/")


def checked_alias(alias: str) -> str:
    if not _ALIAS.fullmatch(alias):
        raise InvalidNameError(f"alias {alias!r}: use a lower-case word, such as champion")
    return alias
