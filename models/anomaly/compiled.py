"""Compiles a numeric kernel to machine code when it is first called.

The compiled code is kept beside the source (or where NUMBA_CACHE_DIR says) for the next process;
where nothing may be written, each process compiles for itself. No fast-math: the same input gives
the same bits, whatever array it came in. The interpreter's lock is let go during a call.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_RELEASE = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()


class _ReleaseCache(FunctionCache):  # type: ignore[misc]  # numba's own class has no types
    """Forgets a kernel when any file of this folder changes.

    numba looks at the kernel's own file only, and a kernel holds a copy of those it calls.
    """

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), _RELEASE)


def compiled(function: Kernel) -> Kernel:
    decorate: Any = numba.njit(nogil=True, error_model="numpy")
    kernel = decorate(function)
    try:
        kernel._cache = _ReleaseCache(function)  # noqa: SLF001  numba has no public way to say it
    except RuntimeError:  # "no locator available": nothing may be written here
        return cast("Kernel", kernel)
    return cast("Kernel", kernel)
