"""Gives memory back to the system: pages of rows that nobody uses, and what the heap keeps."""

import ctypes
import mmap
import sys
from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

_DONTNEED = 4  # of Linux's madvise: the pages read as zeros from then on
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def give_back(tables: Iterable[NDArray[Any]], runs: Iterable[tuple[int, int]]) -> None:
    """Return the whole pages of these runs of rows, [from, to); the rows read as zeros then."""
    if _LIBC is None:
        return
    found = list(runs)
    for table in tables:
        if table.base is None and table.flags.c_contiguous and len(table):
            for start, end in found:
                _release(table.ctypes.data + start * table.strides[0],
                         table.ctypes.data + end * table.strides[0])  # fmt: skip


def trim_heap() -> None:
    """Return what was freed and the allocator keeps."""
    if _LIBC is not None and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def _release(start: int, end: int) -> None:
    first, last = -(-start // mmap.PAGESIZE), end // mmap.PAGESIZE
    if _LIBC is not None and last > first:
        pages = (last - first) * mmap.PAGESIZE
        _LIBC.madvise(ctypes.c_void_p(first * mmap.PAGESIZE), ctypes.c_size_t(pages), _DONTNEED)
