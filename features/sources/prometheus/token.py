"""The bearer token of a source, in a file that whoever runs the platform renews."""

import os
from pathlib import Path


class TokenFile:
    """A file that holds one token; it is read again when it changes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """Give the token; OSError or ValueError where the file holds none."""
        found = self.path.stat()
        version = (found.st_mtime_ns, found.st_ino, found.st_size)
        if version != self._seen:
            self._token, self._seen = _token_in(self.path), version
        return self._token


def _token_in(path: os.PathLike[str]) -> str:
    token = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    # What is not in this range cannot stand in a header; the token itself is never told.
    if not token or not all("!" <= letter <= "~" for letter in token):
        raise ValueError(f"{path} must hold one token of printable characters, and does not")
    return token
