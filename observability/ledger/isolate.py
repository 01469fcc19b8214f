"""Stores a chunk although some of it may be refused: the neighbours of a bad entry go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from observability.errors import ClickhouseUnavailableError

T = TypeVar("T")

# So many refusals one after the other, and nothing stored, may be the store's fault.
HOPELESS = 8


@dataclass(slots=True)
class Tried:
    """How far the store came: which of the first items are refused alone too, and why."""

    items: int
    refused: dict[int, Exception] = field(default_factory=dict)


def store_each(store: Callable[[Sequence[T]], object], items: Sequence[T]) -> Tried:
    """Store all, halving what is refused.

    Where none of the first few could be stored the rest is not tried. Raises
    ClickhouseUnavailableError.
    """
    tried = Tried(len(items))
    stored = 0
    waiting = [(0, len(items))] if items else []
    while waiting:
        first, end = waiting.pop()
        try:
            store(items[first:end])
        except ClickhouseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller is given it
            if end - first > 1:
                middle = (first + end) // 2
                waiting += [(middle, end), (first, middle)]  # the earlier half is taken next
                continue
            tried.refused[first] = error
            if not stored and len(tried.refused) >= HOPELESS:
                tried.items = end
                break
        else:
            stored += end - first
    return tried
