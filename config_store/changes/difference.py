"""What differs between two documents: a list of places, each with what was there and what is.

Items of lists are aligned first, so that a rule that is put in front changes no other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final, Literal

import orjson

from config_store.changes.paths import Part, path_of

# Lists of a thousand items each; the work grows with the product, and items may all be alike.
MOST_COMPARED = 1_000_000
Kind = Literal["added", "removed", "changed"]
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place; `before` or `after` is None where there is nothing, as `kind` tells.

    In a list the number is the item's in `after`, of a removed one that in `before`.
    """

    path: str
    kind: Kind
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Compare two JSON values; names come in their order, items of lists in theirs."""
    return list(_compared((), before, after))


def _compared(place: tuple[Part, ...], before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            left, right = before.get(name, _ABSENT), after.get(name, _ABSENT)
            yield from _compared((*place, name), left, right)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _aligned(place, before, after)
    elif _written(before) != _written(after):
        yield _difference(place, before, after)


def _aligned(place: tuple[Part, ...], before: list[Any], after: list[Any]) -> Iterator[Difference]:
    old_texts, new_texts = [_written(each) for each in before], [_written(each) for each in after]
    for step, begin, end, new_begin, new_end in _steps(old_texts, new_texts):
        if step == "equal":
            continue
        pairs = zip_longest(range(begin, end), range(new_begin, new_end))
        for old, new in pairs:
            if old is None:
                yield _difference((*place, new), _ABSENT, after[new])
            elif new is None:
                yield _difference((*place, old), before[old], _ABSENT)
            else:
                yield from _compared((*place, new), before[old], after[new])


def _steps(old: list[bytes], new: list[bytes]) -> list[tuple[str, int, int, int, int]]:
    """Align two lists; beside what they begin and end with, only if that takes no minutes."""
    shorter = min(len(old), len(new))
    begin = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    rest = shorter - begin
    tail = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    left, right = old[begin : len(old) - tail], new[begin : len(new) - tail]
    if len(left) * len(right) > MOST_COMPARED:
        return [("replace", begin, len(old) - tail, begin, len(new) - tail)]
    found = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return [(step, a + begin, b + begin, c + begin, d + begin) for step, a, b, c, d in found]


def _written(value: Any) -> bytes:
    """Write a value so that 1 and true, or 1 and 1.0, are not the same."""
    return b"" if value is _ABSENT else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _difference(place: tuple[Part, ...], before: Any, after: Any) -> Difference:
    path = path_of(place)
    if before is _ABSENT:
        return Difference(path, "added", None, after)
    if after is _ABSENT:
        return Difference(path, "removed", before, None)
    return Difference(path, "changed", before, after)
