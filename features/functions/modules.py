"""The modules of one platform: those in the operator's folder, and copies of those in force."""

from pathlib import Path

from features.functions.folder import FunctionFolder
from features.functions.kept import KeptModules


class FunctionModules:
    """Where modules are read, and where they are kept."""

    def __init__(self, folder: Path | None, copies: Path) -> None:
        self._folder = FunctionFolder(folder)
        # An operator who states no folder any more wants no function to run.
        self.kept = KeptModules(copies, may_run=folder is not None)

    def take_in(self, module: str) -> str:
        """Keep a copy of a module as it is now, and give its hash; raises BadModuleError."""
        found = self._folder.read(module)
        self.kept.keep(found)
        return found.sha256
