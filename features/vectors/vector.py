"""An entity's published features, as bytes that numpy reads without a copy.

Features that are computed together share their times. The layout says which number is which
feature's; its id begins each vector, so that releases that publish otherwise are told apart.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson

from features.definitions.catalogue import STORED
from features.definitions.definition import Baseline, Definition, Window
from features.errors import UnreadableFeaturesError

ID_BYTES = 8
_NUMBER = np.dtype("<f8")


@dataclass(frozen=True)
class Layout:
    """Which features a vector holds, by version, and which of them share their times."""

    names: tuple[str, ...]
    versions: tuple[str, ...]
    groups: tuple[int, ...]

    @cached_property
    def encoded(self) -> bytes:
        return orjson.dumps([self.names, self.versions, self.groups])

    @cached_property
    def id(self) -> bytes:
        return sha256(self.encoded).digest()[:ID_BYTES]

    @property
    def times(self) -> int:
        return max(self.groups) + 1

    @property
    def numbers(self) -> int:
        """Count the numbers of a vector: cadence, two times a group, the values."""
        return 1 + 2 * self.times + len(self.names)

    @classmethod
    def decode(cls, encoded: bytes) -> Self:
        try:
            content: Any = orjson.loads(encoded)
            names, versions, groups = (tuple(each) for each in content)
        except (orjson.JSONDecodeError, TypeError, ValueError) as error:
            raise UnreadableFeaturesError("any entity", f"their layout: {error}") from error
        return cls(names, versions, groups)


@dataclass(frozen=True, slots=True)
class Vector:
    """What is known of one entity: values by name, and times by group."""

    values: Mapping[str, float]
    event_time: Sequence[float]
    known_time: Sequence[float]
    cadence_seconds: float

    def encode(self, layout: Layout) -> bytes:
        numbers = [self.cadence_seconds, *self.event_time, *self.known_time]
        numbers += [self.values[name] for name in layout.names]
        return layout.id + np.array(numbers, dtype=_NUMBER).tobytes()


def group_of(definition: Definition) -> Hashable:
    """Name what a feature is computed together with."""
    match definition.computed:
        case Window(seconds=seconds) | Baseline(seconds=seconds):
            return type(definition.computed).__name__, seconds
        case other:
            return type(other).__name__


GROUPS: tuple[Hashable, ...] = tuple(dict.fromkeys(group_of(each) for each in STORED))


def layout_of(versions: Mapping[str, str], own: Sequence[str] = ()) -> Layout:
    """Give the layout of definitions of these versions; `own` are features of users' functions.

    Those are as old as their inputs, so the group that stands by them says nothing.
    """
    return Layout(
        (*(each.name for each in STORED), *own),
        tuple(versions[name] for name in (*(each.name for each in STORED), *own)),
        (*(GROUPS.index(group_of(each)) for each in STORED), *(0 for _ in own)),
    )


def matrix_of(layout: Layout, vectors: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """Read vectors of one layout as rows of numbers; without any there are no rows."""
    joined = b"".join(each[ID_BYTES:] for each in vectors)
    return np.frombuffer(joined, dtype=_NUMBER).reshape(len(vectors), layout.numbers)
