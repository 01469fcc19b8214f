"""Follows files of lines through every kind of rotation, and gives each line once.

- Renamed and created anew: what is open is read to its end, then let go of when it is quiet.
- Copied and truncated: the rest is read from the copy. A copy of what is followed is not read
  otherwise, whatever its name.
- Deleted, or a link that is turned to another file: as renamed.

Every call blocks: not for an event loop.
"""

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import orjson

from features.sources.logs.content import FIRST, Content, Mark, Noted, Sink, resumed
from features.sources.logs.names import FileKey, beside, named_by, opened

# Who writes goes on in a renamed file until it hears of the rotation.
QUIET_SECONDS = 60.0
MOST_FILES = 500
# What is truncated again while it is read is read on in the next poll.
ROUNDS = 3
REMEMBERED = 32


class Positions(NamedTuple):
    """Where another process is to go on, and which files it is not to read."""

    patterns: tuple[str, ...]
    contents: tuple[Noted, ...] = ()
    copies: tuple[tuple[FileKey, Mark], ...] = ()

    def to_json(self) -> bytes:
        contents = [each._asdict() for each in self.contents]
        fields = {"patterns": self.patterns, "contents": contents, "copies": self.copies}
        return orjson.dumps(fields, default=tuple)  # it takes no named ones

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what `to_json` wrote; raises ValueError where it is something else."""
        try:
            fields = orjson.loads(data)
            copies = [((device, inode), Mark(*mark)) for (device, inode), mark in fields["copies"]]
            contents = map(Noted.from_json, fields["contents"])
            return cls(tuple(fields["patterns"]), tuple(contents), tuple(copies))
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no positions: {data[:200]!r}") from error


class Follower:
    """Reads all files under some patterns.

    Of files that are there when the patterns are new, it reads so many bytes at most of the end.
    """

    def __init__(
        self, patterns: Sequence[str], *, most_of_past: int, positions: Positions | None = None
    ) -> None:
        self._patterns = tuple(patterns)
        known = positions is not None and positions.patterns == self._patterns
        self._most_of_past: int | None = None if known else most_of_past
        self._contents: list[Content] = []
        # Files that hold what is read elsewhere, by their first bytes.
        self._copies: dict[FileKey, Mark] = {}
        self._former: list[bytes] = []
        self.found = 0
        self.unreadable: tuple[str, ...] = ()
        if positions is not None:
            self._copies = dict(positions.copies)
            self._resume(positions.contents)

    @property
    def files(self) -> int:
        return len(self._contents)

    def poll(self, sink: Sink, now: float) -> None:
        """Give the sink every whole line that was written before this call."""
        for _ in range(ROUNDS):
            named = named_by(self._patterns)
            if len(named) > MOST_FILES:
                raise ValueError(
                    f"{len(named)} files lie under {', '.join(self._patterns)}, and {MOST_FILES} "
                    "can be followed: name fewer"
                )
            self.found = len(named)
            self._leave_truncated()
            self._begin_new(named)
            if self._read_all(sink, now):
                break
        self._most_of_past = None
        self._let_go(named, now)

    def forget_before(self, group: int) -> None:
        """Note that lines of groups before this one need not be read again."""
        for each in self._contents:
            each.forget_before(group)

    def too_long(self) -> int:
        """Count the lines that were passed over since the last call because of their length."""
        count = sum(each.too_long for each in self._contents)
        for each in self._contents:
            each.too_long = 0
        return count

    def positions(self) -> Positions | None:
        """Tell where to go on after a restart; None where a file changes at this moment."""
        noted = [each.noted() for each in self._contents]
        there = tuple(each for each in noted if each is not None)
        if len(there) < len(noted):
            return None
        return Positions(self._patterns, there, tuple(self._copies.items()))

    def close(self) -> None:
        for each in self._contents:
            os.close(each.fd)
        self._contents.clear()

    def _resume(self, contents: Iterable[Noted]) -> None:
        named = named_by(self._patterns)
        for noted in contents:
            own = [named[noted.key]] if noted.key in named else []
            # Its own file first, be it renamed; then a copy, if it was truncated.
            near = [*own, noted.path, *beside(noted.path)]
            found = self._resumed(noted, near, own=True) or self._resumed(noted, near, own=False)
            if found is not None:
                self._contents.append(found)

    def _resumed(self, noted: Noted, paths: Iterable[str], *, own: bool) -> Content | None:
        if not own and not noted.first.length:
            return None  # nothing was read of it, so everything looks like it
        taken = self._keys()
        for path in paths:
            fd = opened(path)
            if fd is None:
                continue
            key = _key(fd)
            if key not in taken and (key == noted.key) == own:
                content = resumed(noted, path, fd)
                if content is not None:
                    self._copies.pop(key, None)
                    return content
            os.close(fd)
        return None

    def _keys(self) -> set[FileKey]:
        return {each.key for each in self._contents}

    def _leave_truncated(self) -> None:
        """Go on in the copies of what was truncated; what has none is let go of."""
        for content in tuple(self._contents):
            if not content.is_in(content.fd) and not self._move_to_copy(content):
                os.close(content.fd)
                self._contents.remove(content)
                self._former = [*self._former, content.first][-REMEMBERED:]

    def _move_to_copy(self, content: Content) -> bool:
        taken = self._keys()
        for path in beside(content.path) if content.first else ():
            fd = opened(path)
            if fd is None:
                continue
            if _key(fd) not in taken and content.is_in(fd):
                self._copies.pop(_key(fd), None)
                content.move_to(path, fd)
                return True
            os.close(fd)
        return False

    def _begin_new(self, named: dict[FileKey, str]) -> None:
        taken = self._keys()
        unreadable = []
        for key, path in named.items():
            if key in taken:
                continue
            fd = opened(path)
            if fd is None:
                unreadable.append(path)
            elif _key(fd) in taken or not self._begin(path, fd):
                os.close(fd)
        self.unreadable = tuple(unreadable)

    def _begin(self, path: str, fd: int) -> bool:
        """Begin to read a file, unless it is a copy, or has no whole line yet to tell by."""
        first = os.pread(fd, FIRST, 0)
        whole = len(first) if len(first) == FIRST else first.rfind(b"\n") + 1
        if not whole:
            return False
        key, first = _key(fd), first[:whole]
        if self._is_copy(key, first, fd):
            return False
        self._copies.pop(key, None)
        content = Content(path, fd, first=first)
        past = self._most_of_past
        if past is not None and content.size > past:
            content.start_at(content.size - past)
        self._contents.append(content)
        return True

    def _is_copy(self, key: FileKey, first: bytes, fd: int) -> bool:
        for content in self._contents:
            if _is_same(first, content.first):
                # Of two that are equal, the one that grows is the one that is written.
                if os.fstat(fd).st_size <= content.size or not content.is_in(fd):
                    self._copies[key] = Mark.of(first)
                    return True
                self._copies[content.key] = Mark.of(content.first)
                content.move_to(content.path, os.dup(fd))
                return True
        if any(_is_same(first, former) for former in self._former):
            self._copies[key] = Mark.of(first)
        # One that grew and looks like none any more was never a copy, but began like one.
        return self._copies.get(key) == Mark.of(first)

    def _read_all(self, sink: Sink, now: float) -> bool:
        """Read every file to its present end; says whether none turned out to be truncated."""
        intact = True
        for content in self._contents:
            before, end = content.offset, content.size
            intact = all(content.read(end, sink)) and intact
            if content.offset != before or content.quiet_since is None:
                content.quiet_since = now
        return intact

    def _let_go(self, named: dict[FileKey, str], now: float) -> None:
        """Close what has no name any more, and of which nothing is to be expected."""
        for content in tuple(self._contents):
            path = named.get(content.key)
            if path is not None:
                content.path = path
            elif not content.starts and now - (content.quiet_since or now) > QUIET_SECONDS:
                os.close(content.fd)
                self._contents.remove(content)


def _is_same(first: bytes, other: bytes) -> bool:
    """Tell whether two files begin alike, by one line at least."""
    length = min(len(first), len(other))
    line = first.find(b"\n") + 1 or FIRST
    return length >= line and first[:length] == other[:length]


def _key(fd: int) -> FileKey:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
