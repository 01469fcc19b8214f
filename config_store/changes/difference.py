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
    steps = SequenceMatcher(None, old_texts, new_texts, autojunk=False).get_opcodes()
    for step, begin, end, new_begin, new_end in steps:
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
