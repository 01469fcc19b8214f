"""Reads the ends of log files, to see what their lines look like; nothing is followed."""

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from features.errors import NothingUsableError
from features.sources.logs.names import named_by, opened

# The newest files and lines say best what is written now; a few megabytes are read at most.
MOST_FILES = 20
MOST_BYTES = 256 * 1024
MOST_LINES = 1000


class Line(NamedTuple):
    path: str
    text: bytes


class Ends(NamedTuple):
    """How many files lie under the patterns, and the newest lines of the newest of them."""

    files: int
    lines: tuple[Line, ...]


def read_ends(patterns: Sequence[str]) -> Ends:
    """Read the ends; NothingUsableError says why there is nothing to read."""
    paths = list(named_by(patterns).values())
    if not paths:
        raise NothingUsableError(f"no file lies under {', '.join(patterns)}")
    newest = paths[-MOST_FILES:]
    found = [(path, _end_of(path)) for path in newest]
    if all(end is None for _, end in found):
        raise NothingUsableError(f"{newest[-1]} may not be read by this user")
    lines = tuple(Line(path, text) for path, end in found for text in end or ())
    if not lines:
        raise NothingUsableError(f"{newest[-1]} has no whole line yet")
    return Ends(len(paths), lines)


def _end_of(path: str) -> list[bytes] | None:
    """Give the last whole lines; None where the file may not be read."""
    fd = opened(path)
    if fd is None:
        return None
    try:
        size = os.fstat(fd).st_size
        begin = max(size - MOST_BYTES, 0)
        lines = os.pread(fd, MOST_BYTES, begin).split(b"\n")
    finally:
        os.close(fd)
    # The last one has no end yet, and the first one no beginning.
    whole = lines[1 if begin else 0 : -1]
    return list(_filled(whole))[-MOST_LINES:]


def _filled(lines: Iterable[bytes]) -> Iterable[bytes]:
    return (line for line in lines if line.strip())
