"""The content of one log file, read as it grows, wherever the file is renamed or copied to.

A name says little: files are renamed, truncated and written anew under it. What was read is known
by its first bytes and by those in front of the place that is read next; while both are as they
were, the file goes on with what was read.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from features.sources.logs.names import FileKey, file_key

CHUNK = 256 * 1024
# A line that fills a chunk is no line of a log: it is passed over to its end.
LONGEST_LINE = CHUNK
FIRST, RECENT = 1024, 256

Sink = Callable[["Content", int, bytes], int | None]
"""Takes a line with its offset; says which group of lines it belongs to, if to any."""


class Mark(NamedTuple):
    """A hash of bytes: logs hold secrets, and what is noted of them elsewhere must not."""

    length: int
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(len(data), hashlib.blake2b(data, digest_size=16).hexdigest())


class ContentPosition(NamedTuple):
    """What a later process needs to find the content again, and the place to go on at."""

    path: str
    key: FileKey
    first: Mark
    recent: Mark
    offset: int
    read: int
    skipping: bool

    @classmethod
    def from_json(cls, noted: dict[str, Any]) -> Self:
        first, recent = Mark(*noted["first"]), Mark(*noted["recent"])
        device, inode = noted["key"]
        fields = {**noted, "key": (device, inode), "first": first, "recent": recent}
        return cls(**fields)


@dataclass(slots=True)
class Content:
    """What is read of a file that is open."""

    path: str
    fd: int
    offset: int = 0
    # A cut is begun in the middle of, and a line that is too long.
    skipping: bool = False
    cut: bool = False
    # Up to here a process before this one has read.
    read_before: int = 0
    first: bytes = b""
    recent: bytes = b""
    # Where the first line of each group begins that may have to be read again.
    starts: dict[int, int] = field(default_factory=dict)
    too_long: int = 0
    quiet_since: float | None = None

    @property
    def key(self) -> FileKey:
        """Which file it is, whatever its name."""
        return file_key(self.fd)

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def is_in(self, fd: int) -> bool:
        """Tell whether this file holds what was read, at the same place."""
        return (
            os.fstat(fd).st_size >= self.offset
            and os.pread(fd, len(self.first), 0) == self.first
            and os.pread(fd, len(self.recent), self.offset - len(self.recent)) == self.recent
        )

    def move_to(self, path: str, fd: int) -> None:
        """Go on in a copy."""
        os.close(self.fd)
        self.path, self.fd = path, fd

    def read(self, until: int, sink: Sink) -> Iterator[bool]:
        """Read the whole lines in front of `until`, a chunk a step.

        A step gives False, as the last one, where the file turned out to be truncated: nothing of
        that chunk was taken.
        """
        while self.offset < until:
            chunk = os.pread(self.fd, min(CHUNK, until - self.offset), self.offset)
            # Behind the read: what was truncated and written anew in front of it shows here.
            if not self.is_in(self.fd):
                yield False
                return
            taken = self._take(chunk, sink)
            if not taken:
                return
            yield True

    def start_at(self, offset: int) -> None:
        """Begin in the middle, at the first line that begins there."""
        self.offset, self.skipping, self.cut = offset, True, True
        self.first = os.pread(self.fd, FIRST, 0)
        self.recent = os.pread(self.fd, RECENT, offset - min(RECENT, offset))[:offset]

    def forget_before(self, group: int) -> None:
        """Let go of where groups begin that need not be read again."""
        self.starts = {each: at for each, at in self.starts.items() if each >= group}

    def noted(self) -> ContentPosition | None:
        """Note where another process is to go on; None where the file just changed."""
        offset = min(self.starts.values(), default=self.offset)
        in_front = os.pread(self.fd, min(RECENT, offset), offset - min(RECENT, offset))
        if not self.is_in(self.fd):
            return None
        return ContentPosition(
            self.path,
            self.key,
            Mark.of(self.first),
            Mark.of(in_front),
            offset,
            max(self.offset, self.read_before),
            self.skipping and offset == self.offset,
        )

    def _take(self, chunk: bytes, sink: Sink) -> int:
        """Take the lines that end in the chunk; says how many bytes these are."""
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            if len(chunk) < LONGEST_LINE:
                return 0
            self.too_long += not self.skipping
            self.skipping = True
            end = len(chunk)
            self._accept(chunk)
            return end
        at, begin = self.offset, 0
        if self.skipping:
            begin = chunk.find(b"\n") + 1
            self.skipping = False
        while begin < end:
            line_end = chunk.find(b"\n", begin)
            group = sink(self, at + begin, chunk[begin:line_end])
            if group is not None and at + begin < self.starts.get(group, at + begin + 1):
                self.starts[group] = at + begin
            begin = line_end + 1
        self._accept(chunk[:end])
        return end

    def _accept(self, data: bytes) -> None:
        if self.offset < FIRST:
            self.first = max(self.first, (self.first[: self.offset] + data)[:FIRST], key=len)
        self.recent = (self.recent + data)[-RECENT:]
        self.offset += len(data)


def resumed(noted: ContentPosition, path: str, fd: int) -> Content | None:
    """Go on with noted content in this file; None where it holds something else."""
    if os.fstat(fd).st_size < noted.offset:
        return None
    first = os.pread(fd, noted.first.length, 0)
    recent = os.pread(fd, noted.recent.length, noted.offset - noted.recent.length)
    if Mark.of(first) != noted.first or Mark.of(recent) != noted.recent:
        return None
    return Content(
        path,
        fd,
        noted.offset,
        skipping=noted.skipping,
        read_before=noted.read,
        first=first,
        recent=recent,
    )
