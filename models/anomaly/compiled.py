"""Compiles a numeric kernel to machine code when it is first called.

The compiled code is kept beside the source (or where NUMBA_CACHE_DIR says) for the next process;
where nothing may be written, each process compiles for itself. No fast-math: the same input gives
the same bits, whatever array it came in. The interpreter's lock is let go during a call.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_RELEASE = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()


class _ReleaseCache(FunctionCache):
    """Forgets a kernel when any file of this folder changes.

    numba looks at the kernel's own file only, and a kernel holds a copy of those it calls.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        own: Any = super()
        return (*own._index_key(sig, codegen), _RELEASE)  # noqa: SLF001  numba has no public hook


def compiled(function: Kernel) -> Kernel:
    decorate: Any = numba.njit(nogil=True, error_model="numpy")
    cache: Any = _ReleaseCache
    kernel = decorate(function)
    # "No locator available": nothing may be written here, so nothing is kept.
    with contextlib.suppress(RuntimeError):
        kernel._cache = cache(function)  # noqa: SLF001  numba has no public hook
    return cast("Kernel", kernel)
