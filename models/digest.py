"""The digest of a model's files: two versions with one digest are the same model."""

from hashlib import sha256
from pathlib import Path


def digest_of(folder: Path) -> str:
    """Hash every file of a folder with its path, whatever order the disk lists them in."""
    found = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        # Each part is hashed by itself first: no name or content can run over into the next.
        found.update(sha256(name).digest() + sha256(path.read_bytes()).digest())
    return found.hexdigest()
