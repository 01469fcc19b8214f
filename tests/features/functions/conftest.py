"""Modules of a user's, in a folder as an operator would make it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from features.definitions.definition import Definition, Function, Kind
from features.functions.evaluated import Functions
from features.functions.folder import FunctionFolder
from features.functions.kept import KeptModules

Wish = Callable[..., Definition]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "functions"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> KeptModules:
    return KeptModules(tmp_path / "kept")


@pytest.fixture
def functions(kept: KeptModules) -> Iterator[Functions]:
    made = Functions(kept, lambda: 20.0)
    yield made
    made.close()


@pytest.fixture
def written(folder: Path, kept: KeptModules) -> Wish:
    """Write a module, and give a feature that its function `f` computes."""

    def write(text: str, inputs: tuple[str, ...] = ("load",), function: str = "f") -> Definition:
        path = folder / "own.py"
        path.write_text(text)
        path.chmod(0o644)
        module = FunctionFolder(folder).read("own")
        kept.keep(module)
        computed = Function(f"own:{function}", inputs, module.sha256)
        return Definition("mine", Kind.DERIVED, "", "", computed)

    return write
