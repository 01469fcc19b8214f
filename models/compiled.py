"""Compiles a numeric kernel to machine code when it is first called.

The compiled code is kept beside the source (or where NUMBA_CACHE_DIR says) for the next process;
where nothing may be written, each process compiles for itself. No fast-math: the same input gives
the same bits, whatever array it came in. The interpreter's lock is let go during a call.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


class _FolderCache(FunctionCache):
    """Forgets a kernel when any file of its folder changes.

    numba looks at the kernel's own file only, and a kernel holds a copy of those it calls.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._folder = _hash_of(Path(function.__code__.co_filename).parent)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own: Any = super()
        return (*own._index_key(sig, codegen), self._folder)  # noqa: SLF001  numba has no public hook


@functools.cache
def _hash_of(folder: Path) -> str:
    sources = sorted(folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def compiled(function: Kernel) -> Kernel:
    decorate: Any = numba.njit(nogil=True, error_model="numpy")
    cache: Any = _FolderCache
    kernel = decorate(function)
    # "No locator available": nothing may be written here, so nothing is kept.
    with contextlib.suppress(RuntimeError):
        kernel._cache = cache(function)  # noqa: SLF001  numba has no public hook
    return cast("Kernel", kernel)
