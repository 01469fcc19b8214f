"""Compiles a numeric kernel to machine code when it is first called.

The compiled code is kept beside the source (or where NUMBA_CACHE_DIR says) for the next process;
where nothing may be written, each process compiles for itself. What is kept is renewed when the
kernel's own file changes and by nothing else: a kernel calls only kernels of its own file.

No fast-math: the same input gives the same bits, whatever array it came in. The interpreter's lock
is let go during a call.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    try:
        return cast("Kernel", _jit(function, cache=True))
    except RuntimeError:  # numba's "no locator available": a read-only installation
        return cast("Kernel", _jit(function, cache=False))


def _jit(function: Kernel, *, cache: bool) -> Any:
    decorate: Any = numba.njit(cache=cache, nogil=True, error_model="numpy")
    return decorate(function)
