"""Stores a chunk although some of it may be refused: the neighbours of a bad entry go on."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from observability.errors import ClickhouseUnavailableError

T = TypeVar("T")

# So many refusals one after the other, and nothing stored, are the store's fault.
HOPELESS = 8


def store_each(store: Callable[[Sequence[T]], object], items: Sequence[T]) -> dict[int, Exception]:
    """Store all, halving what is refused; tells which items are refused alone too, and why.

    Raises ClickhouseUnavailableError, and what the first few items alone were refused with where
    none of them could be stored.
    """
    refused: dict[int, Exception] = {}
    stored = 0
    waiting = [(0, len(items))]
    while waiting:
        first, end = waiting.pop()
        try:
            store(items[first:end])
        except ClickhouseUnavailableError:
            raise
        except Exception as error:
            if end - first > 1:
                middle = (first + end) // 2
                waiting += [(middle, end), (first, middle)]  # the earlier half is taken next
                continue
            refused[first] = error
            if not stored and len(refused) >= HOPELESS:
                raise
        else:
            stored += end - first
    return refused
