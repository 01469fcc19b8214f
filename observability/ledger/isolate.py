"""Stores a chunk although some of it may be refused: the neighbours of a bad entry go on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from observability.errors import ClickhouseUnavailableError

T = TypeVar("T")

# So many refusals one after the other, and no proof that the store is well, may be its fault.
HOPELESS = 8


@dataclass(slots=True)
class StoreAttempt:
    """How far the store came: which of the first items are refused alone too, and why."""

    items: int
    refused: dict[int, Exception] = field(default_factory=dict)
    proof: int = -1
    """The last item that shows the store to be well; -1 where none does."""


def store_each(store: Callable[[Sequence[T]], Iterable[int]], items: Sequence[T]) -> StoreAttempt:
    """Store all, halving what is refused.

    `store` gives the places of those of its items that show it to be well: what it had before, or
    need not write, shows nothing. Where it refuses the first few and nothing shows it to be well
    the rest is not tried. Raises ClickhouseUnavailableError.
    """
    tried = StoreAttempt(len(items))
    waiting = [(0, len(items))] if items else []
    while waiting:
        first, end = waiting.pop()
        try:
            proofs = store(items[first:end])
        except ClickhouseUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller is given it
            if end - first > 1:
                middle = (first + end) // 2
                waiting += [(middle, end), (first, middle)]  # the earlier half is taken next
                continue
            tried.refused[first] = error
            if tried.proof < 0 and len(tried.refused) >= HOPELESS:
                tried.items = end
                break
        else:
            tried.proof = max((first + place for place in proofs), default=tried.proof)
    return tried
