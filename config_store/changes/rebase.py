"""What one version changes, put on top of what another one has changed meanwhile.

Both were written on top of the same document. A place that only one of them changed is as that one
has it. Where both changed a place, or one what is inside of the other's, nobody can tell which is
meant: that is left to people. A list is one place.
"""

from typing import Any, Final, NamedTuple

import orjson

from config_store.changes.paths import Part, path_of

_ABSENT: Final = object()


class Rebased(NamedTuple):
    """The document with the changes of both, and the places that both changed."""

    document: Any
    overlaps: tuple[str, ...]


def rebased(base: Any, mine: Any, theirs: Any) -> Rebased:
    """Put together what two JSON documents changed of a third one."""
    overlaps: list[str] = []
    return Rebased(_merged((), base, mine, theirs, overlaps), tuple(overlaps))


def _merged(place: tuple[Part, ...], base: Any, mine: Any, theirs: Any, overlaps: list[str]) -> Any:
    if _same(mine, base) or _same(mine, theirs):
        return theirs
    if _same(theirs, base):
        return mine
    if isinstance(base, dict) and isinstance(mine, dict) and isinstance(theirs, dict):
        found = {}
        for name in [*theirs, *(each for each in mine if each not in theirs)]:
            was, one, other = (each.get(name, _ABSENT) for each in (base, mine, theirs))
            found[name] = _merged((*place, name), was, one, other, overlaps)
        return {name: value for name, value in found.items() if value is not _ABSENT}
    overlaps.append(path_of(place))
    return theirs


def _same(left: Any, right: Any) -> bool:
    """Compare so that 1 and true, or 1 and 1.0, are not the same."""
    if left is _ABSENT or right is _ABSENT:
        return left is right
    options = orjson.OPT_SORT_KEYS
    return orjson.dumps(left, option=options) == orjson.dumps(right, option=options)
