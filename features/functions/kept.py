"""Copies of the modules that are in force: a changed one in the operator's folder is held back.

They lie under the platform's home, by the hash of their text, which is held against it.
"""

import os
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

from features.functions.folder import FunctionFolder, ModuleText


class KeptModules:
    """The copies of one home."""

    def __init__(self, folder: Path, *, may_run: bool = True) -> None:
        """Take where they lie; without `may_run` there seems to be none."""
        self._folder = folder
        self._may_run = may_run

    def keep(self, module: ModuleText) -> None:
        """Write a copy where there is none."""
        path = self._path(module.sha256)
        if self.text(module.sha256) is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(module.text)
        unfinished.rename(path)

    def text(self, digest: str) -> bytes | None:
        """Read a copy; None where there is none, or another text than the one of this hash."""
        if not self._may_run:
            return None
        try:
            text = self._path(digest).read_bytes()
        except OSError:
            return None
        return text if sha256(text).hexdigest() == digest else None

    def keep_only(self, digests: Collection[str]) -> None:
        """Delete the copies that nothing needs any more."""
        for path in self._folder.glob("*.py"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.py"


class FunctionModules:
    """Those of one platform: in the operator's folder, and copies of those in force."""

    def __init__(self, folder: Path | None, copies: Path) -> None:
        self._folder = FunctionFolder(folder)
        # An operator who states no folder any more wants no function to run.
        self.kept = KeptModules(copies, may_run=folder is not None)

    def take_in(self, module: str) -> str:
        """Keep a copy of a module as it is now, and give its hash; raises BadModuleError."""
        found = self._folder.read(module)
        self.kept.keep(found)
        return found.sha256
