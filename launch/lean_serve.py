"""Starts Serve without pandas.

Serve imports pandas in each process, to be able to encode data frames for HTTP, which nobody here
answers with: a second of processor time, in a dozen processes, before any of them can do a thing.
Serve itself goes on without when it is not installed, so it is told that it is not; whoever else
asks for pandas gets it.
"""

import sys
from types import FrameType
from typing import Any

from deployments.runtime.ray_internals import IMPORTS_PANDAS

_WITHOUT = {"pandas": IMPORTS_PANDAS}


class Withheld:
    """A finder that finds nothing, and says so to the one module that can do without."""

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> None:
        if name in _WITHOUT and _imported_by(_WITHOUT[name], _caller()):
            raise ModuleNotFoundError(f"{name} is withheld from {_WITHOUT[name]}", name=name)


def _caller() -> FrameType:
    return sys._getframe(2)  # noqa: SLF001 - the only way to learn who imports


def _imported_by(module: str, frame: FrameType | None) -> bool:
    """Tell whether the import stands in this module, above Python's own import machinery."""
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") == module


def withhold() -> None:
    """From now on Serve finds no pandas in this process."""
    sys.meta_path.insert(0, Withheld())
