"""Follows files of lines through every kind of rotation, and gives each line once.

- Renamed and created anew: what is open is read to its end, then let go of when it is quiet.
- Copied and truncated: the rest is read from the copy. A copy of what is followed is not read
  otherwise, whatever its name.
- Deleted, or a link that is turned to another file: as renamed.

Every call blocks: not for an event loop.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple, Self

import orjson

from features.sources.logs.content import FIRST, Content, ContentPosition, Mark, Sink
from features.sources.logs.lost import LostContents, is_same
from features.sources.logs.names import FileKey, file_key, named_by, opened

# Who writes goes on in a renamed file until it hears of the rotation.
QUIET_SECONDS = 60.0
MOST_FILES = 500
# What is truncated again while it is read is read on in the next poll.
ROUNDS = 3


class Positions(NamedTuple):
    """Where another process is to go on, and which files it is not to read."""

    patterns: tuple[str, ...]
    contents: tuple[ContentPosition, ...] = ()
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
            contents = map(ContentPosition.from_json, fields["contents"])
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
        self._lost = LostContents()
        self.found = 0
        self.unreadable: tuple[str, ...] = ()
        if positions is not None:
            self._copies = dict(positions.copies)
        self._noted = () if positions is None else positions.contents

    @property
    def files(self) -> int:
        return len(self._contents)

    def poll(self, sink: Sink, now: float) -> None:
        """Give the sink every whole line that was written before this call."""
        for noted in self._noted:
            self._lost.note(noted, now)
        self._noted = ()
        for _ in range(ROUNDS):
            named = named_by(self._patterns)
            if len(named) > MOST_FILES:
                raise ValueError(
                    f"{len(named)} files lie under {', '.join(self._patterns)}, and {MOST_FILES} "
                    "can be followed: name fewer"
                )
            self.found = len(named)
            self._go_on_elsewhere(now)
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
        sought = (*self._noted, *self._lost.noted)
        return Positions(self._patterns, there + sought, tuple(self._copies.items()))

    def close(self) -> None:
        for each in self._contents:
            os.close(each.fd)
        self._contents.clear()

    def _keys(self) -> set[FileKey]:
        return {each.key for each in self._contents}

    def _go_on_elsewhere(self, now: float) -> None:
        """Go on with what was truncated, or renamed before this process began, where it is now."""
        for content in tuple(self._contents):
            if not content.is_in(content.fd):
                self._contents.remove(content)
                self._lost.add(content, now)
        for content in self._lost.search(self._keys(), now):
            self._copies.pop(content.key, None)
            self._contents.append(content)

    def _begin_new(self, named: dict[FileKey, str]) -> None:
        unreadable = []
        for key, path in named.items():
            if key in self._keys():
                continue
            fd = opened(path)
            if fd is None:
                unreadable.append(path)
            elif file_key(fd) in self._keys() or not self._begin(path, fd):
                os.close(fd)
        self.unreadable = tuple(unreadable)

    def _begin(self, path: str, fd: int) -> bool:
        """Begin to read a file, unless it is a copy, or has no whole line yet to tell by."""
        content = self._lost.found_in(path, fd) or self._begun(path, fd)
        if content is None:
            return False
        self._copies.pop(file_key(fd), None)
        self._contents.append(content)
        return True

    def _begun(self, path: str, fd: int) -> Content | None:
        first = os.pread(fd, FIRST, 0)
        whole = len(first) if len(first) == FIRST else first.rfind(b"\n") + 1
        first = first[:whole]
        if not whole or self._is_copy(file_key(fd), first, fd):
            return None
        content = Content(path, fd, first=first)
        past = self._most_of_past
        if past is not None and content.size > past:
            content.start_at(content.size - past)
        return content

    def _is_copy(self, key: FileKey, first: bytes, fd: int) -> bool:
        for content in self._contents:
            if is_same(first, content.first):
                # Of two that are equal, the one that grows is the one that is written.
                if os.fstat(fd).st_size <= content.size or not content.is_in(fd):
                    self._copies[key] = Mark.of(first)
                    return True
                self._copies[content.key] = Mark.of(content.first)
                content.move_to(content.path, os.dup(fd))
                return True
        if self._lost.began_like(first):
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
