"""The operator's folder of modules, of which no file is run that somebody else could have written.

To load a module is to run its code, so where it may lie is said in the environment and not in the
configuration: who may change the configuration may choose among these modules, and add none.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from features.errors import BadModuleError

MOST_BYTES = 1_000_000
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
SETTING = "BALLAST_FUNCTIONS_FOLDER"


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A module as it lies in the folder."""

    name: str
    text: bytes

    @property
    def sha256(self) -> str:
        return sha256(self.text).hexdigest()


class FunctionFolder:
    """Reads modules by their dotted names; None where the operator states no folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self, module: str) -> ModuleText:
        """Read a module's text; raises BadModuleError where it must not be run."""
        if self._folder is None:
            raise BadModuleError(module, f"no folder is stated; set {SETTING} to the one it is in")
        path = self._folder.joinpath(*module.split(".")).with_suffix(".py")
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._folder.resolve(strict=True)):
                raise BadModuleError(module, f"{path} leads out of {self._folder}")
            for each in real.parents:
                _refuse_others(module, each, each.stat())
            return ModuleText(module, _read(module, real))
        except OSError as error:
            raise BadModuleError(module, f"{path}: {error.strerror or error}") from None


def _read(module: str, path: Path) -> bytes:
    """Read a file, of the very one that was looked at."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        known = os.fstat(file.fileno())
        if not stat.S_ISREG(known.st_mode):
            raise BadModuleError(module, f"{path} is no file")
        _refuse_others(module, path, known)
        text = file.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise BadModuleError(module, f"{path} has more than {MOST_BYTES:,} bytes")
    return text


def _refuse_others(module: str, path: Path, known: os.stat_result) -> None:
    for reason in _writable_by_others(path, known):
        raise BadModuleError(module, reason)


def _writable_by_others(path: Path, known: os.stat_result) -> Iterator[str]:
    """Say how others could put something else there.

    In a sticky folder, such as /tmp, nobody replaces what is not theirs.
    """
    if known.st_uid not in (0, os.geteuid()):
        yield f"{path} belongs to the user {known.st_uid}, neither to root nor to this process's"
    sticky = stat.S_ISDIR(known.st_mode) and known.st_mode & stat.S_ISVTX
    if known.st_mode & _OTHERS_WRITE and not sticky:
        yield f"{path} can be written by others; `chmod go-w {path}` ends that"
