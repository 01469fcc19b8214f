"""Which fields the lines of a log have: how often, and with what in them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_NAMES = 500
DEEPEST = 5

Fields = Mapping[str, "FieldSeen"]


@dataclass(slots=True)
class FieldSeen:
    """One field, by the name that rules know it by."""

    name: str
    values: list[Any] = field(default_factory=list)

    @property
    def example(self) -> Any:
        return self.values[-1]

    def texts(self) -> set[str]:
        return {each for each in self.values if isinstance(each, str) and each}


def fields_of(lines: Iterable[Mapping[str, Any]]) -> dict[str, FieldSeen]:
    """Collect every field of the lines; null counts as not there."""
    found: dict[str, FieldSeen] = {}
    for line in lines:
        for name, value in _named(line, "", DEEPEST):
            if name in found or len(found) < MOST_NAMES:
                found.setdefault(name, FieldSeen(name)).values.append(value)
    return found


def _named(line: Mapping[str, Any], prefix: str, deep: int) -> Iterator[tuple[str, Any]]:
    for key, value in line.items():
        # Inside of an object a name with a dot cannot be told from the name of a deeper one.
        if not key or (prefix and "." in key):
            continue
        if isinstance(value, dict):
            if deep and "." not in key:
                yield from _named(value, f"{prefix}{key}.", deep - 1)
        elif value is not None and not isinstance(value, list):
            yield prefix + key, value
