"""The token or password of a source, in a file that whoever runs the platform renews."""

import os
from dataclasses import dataclass
from pathlib import Path


class SecretFile:
    """A file that holds one secret; it is read again when it changes."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._seen: tuple[int, int, int] | None = None
        self._secret = ""

    def read(self) -> str:
        """Give the secret; OSError or ValueError where the file holds none."""
        found = self.path.stat()
        version = (found.st_mtime_ns, found.st_ino, found.st_size)
        if version != self._seen:
            self._secret, self._seen = _secret_in(self.path), version
        return self._secret


@dataclass(frozen=True, slots=True)
class Key:
    """The secret that a server asks for, and how it is told."""

    file: SecretFile
    field: str  # of the configuration, which names the file
    header: str
    scheme: str = ""


def bearer(token_file: str | Path) -> Key:
    return Key(SecretFile(token_file), "token_file", "authorization", "Bearer ")


def _secret_in(path: os.PathLike[str]) -> str:
    secret = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    # What is not in this range cannot stand in a header; the secret itself is never told.
    if not secret or not all("!" <= letter <= "~" for letter in secret):
        raise ValueError(f"{path} must hold one secret of printable characters, and does not")
    return secret
