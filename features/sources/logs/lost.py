"""Contents whose file is not known at the moment, and the search for where they are now.

A truncated file's content is in a copy of it; what a process before this one read may have been
renamed since. Rotations go on while one looks, so what is not found is looked for again.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from features.sources.logs.content import Content, ContentPosition, resumed
from features.sources.logs.names import FileKey, beside, file_key, opened

# After so long what was not found is gone.
SEARCH_SECONDS = 60.0
# Of so many that are gone it is remembered how they began: a copy that lacks the end is of no use.
REMEMBERED = 32

# Goes on in a file with what was lost, if the file holds it.
Resume = Callable[[str, int], Content | None]


@dataclass(frozen=True, slots=True)
class _Sought:
    path: str
    resume: Resume
    until: float
    own: FileKey | None = None
    noted: ContentPosition | None = None


class LostContents:
    """Calls block, as all that looks into folders."""

    def __init__(self) -> None:
        self._sought: list[_Sought] = []
        self._began: list[bytes] = []

    @property
    def noted(self) -> tuple[ContentPosition, ...]:
        """What a process before this one noted, and was not found yet."""
        return tuple(each.noted for each in self._sought if each.noted is not None)

    def note(self, noted: ContentPosition, now: float) -> None:
        """Look for what a process before this one read."""

        def resume(path: str, fd: int) -> Content | None:
            return resumed(noted, path, fd)

        self._sought.append(_Sought(noted.path, resume, now + SEARCH_SECONDS, noted.key, noted))

    def add(self, content: Content, now: float) -> None:
        """Look for the copy of a file that was truncated."""
        os.close(content.fd)
        self._began = [*self._began, content.first][-REMEMBERED:]

        def resume(path: str, fd: int) -> Content | None:
            if not content.is_in(fd):
                return None
            content.path, content.fd = path, fd
            return content

        self._sought.append(_Sought(content.path, resume, now + SEARCH_SECONDS))

    def found_in(self, path: str, fd: int) -> Content | None:
        """Go on with what was lost in this file, where it holds any of it."""
        for each in self._sought:
            content = each.resume(path, fd)
            if content is not None:
                self._sought.remove(each)
                return content
        return None

    def began_like(self, first: bytes) -> bool:
        """Tell whether a file begins as one of those that were truncated."""
        return any(is_same(first, each) for each in self._began)

    def search(self, taken: set[FileKey], now: float) -> list[Content]:
        """Look beside where each was, in no file that is taken; gives what was found."""
        found = []
        for each in tuple(self._sought):
            content = self._search(each, taken)
            if content is not None:
                taken.add(content.key)
                found.append(content)
            if content is not None or now > each.until:
                self._sought.remove(each)
        return found

    @staticmethod
    def _search(sought: _Sought, taken: set[FileKey]) -> Content | None:
        # Its own file first, be it renamed; a copy holds the same only if that was truncated.
        for own in (True, False) if sought.own else (False,):
            for path in (sought.path, *beside(sought.path)):
                fd = opened(path)
                if fd is None:
                    continue
                key = file_key(fd)
                fits = key not in taken and (key == sought.own) == own
                content = sought.resume(path, fd) if fits else None
                if content is not None:
                    return content
                os.close(fd)
        return None


def is_same(first: bytes, other: bytes) -> bool:
    """Tell whether two files begin alike, by one line at least."""
    length = min(len(first), len(other))
    line = first.find(b"\n") + 1 or len(first)
    return length >= line and first[:length] == other[:length]
