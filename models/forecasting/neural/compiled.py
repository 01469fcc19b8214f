"""Compiles the networks' kernels when first called, and keeps them beside the source.

Every kernel stands in one file with all that it calls, so that numba's own cache, which looks at
the kernel's file only, never keeps an old one. No fast-math: the order of every sum is as written.
"""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    decorate: Any = numba.njit(nogil=True, error_model="numpy")
    kernel = decorate(function)
    # "No locator available": nothing may be written here, so nothing is kept.
    with contextlib.suppress(RuntimeError):
        kernel.enable_caching()
    return cast("Kernel", kernel)
