"""Which files there are under the patterns of names, and beside one of them."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

# What a rotation packs was read before it was packed.
PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip")

FileKey = tuple[int, int]
"""Device and inode."""


def named_by(patterns: Iterable[str]) -> dict[FileKey, str]:
    """Find the plain files under the patterns, each once, the oldest first."""
    found: dict[FileKey, tuple[float, str]] = {}
    for pattern in patterns:
        root = Path(pattern).anchor
        for path in sorted(Path(root).glob(pattern.removeprefix(root))):
            with suppress(OSError):  # it went away meanwhile, or is a link to nothing
                status = path.stat()
                if stat.S_ISREG(status.st_mode) and path.suffix not in PACKED:
                    key = status.st_dev, status.st_ino
                    found.setdefault(key, (status.st_mtime, str(path)))
    return {key: path for key, (_, path) in sorted(found.items(), key=lambda each: each[1])}


def beside(path: str) -> Iterator[str]:
    """Name the plain files in the folder of a file, where a rotation puts its copy."""
    with suppress(OSError):
        for each in sorted(Path(path).resolve().parent.iterdir()):
            if each.suffix not in PACKED and each.is_file():
                yield str(each)


def opened(path: str) -> int | None:
    """Open for reading; None where it went away, may not be read, or is no plain file."""
    try:
        # A pipe of that name would hold up whoever opens it.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd


def file_key(fd: int) -> FileKey:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
