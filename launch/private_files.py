"""Keeps everything that Ballast writes for its owner only: the ledger, the models, the logs."""

import os
from pathlib import Path

from launch.errors import NoPermissionError

OTHERS = 0o077


def keep_private() -> None:
    """From now on, what this process and its children create is closed to everybody else."""
    os.umask(OTHERS)


def close_to_others(home: Path) -> None:
    """Make the folder, and close it and what an earlier release left open in it."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileNotFoundError:  # not even its parents can be made, as under /proc
        raise NoPermissionError(str(home)) from None
    _close(home)
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            _close(Path(folder, name))


def _close(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
        # A link's own mode means nothing, and what it leads to may be somebody else's.
        if mode & OTHERS and not path.is_symlink():
            path.chmod(mode & ~OTHERS & 0o7777)
    except FileNotFoundError:
        return  # a temporary file of a process that is just ending
