"""What is computed by the clock: as of the last whole step, so that it can be computed again.

What was known by then is stored by now, so the answer is the same whenever it is asked for: that is
why nothing leaks into what models learn from. An entity of which nothing was known at that step, a
new one, is given as of the last whole minute; and one that is newer still, as of the moment itself.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from features.definitions.definition import MINUTE

# From when a row is known until it is stored: an insert, and posted rows' wait in Redis.
SETTLE_SECONDS = 5

Values = dict[str, float]


class Moment(NamedTuple):
    """When something is computed, epoch seconds, and which rows count: those known by then."""

    at: int
    known_until_ms: int


class AsOf(NamedTuple):
    at: int
    values: Values


Read = Callable[[Sequence[str], Moment], dict[str, Values]]


def settled_step(now: float, step_seconds: int) -> int:
    """Give the last whole step that is settled."""
    return int(now - SETTLE_SECONDS) // step_seconds * step_seconds


class StepMemory:
    """Remembers what was computed as of the present steps; None: nothing was known then."""

    def __init__(self) -> None:
        self._at: dict[tuple[Hashable, int], int] = {}
        self._found: dict[tuple[Hashable, int], dict[str, Values | None]] = {}

    def values(
        self, group: Hashable, step_seconds: int, entities: Sequence[str], now: Moment, read: Read
    ) -> dict[str, AsOf]:
        """Give the values of a group for each entity of which anything is known."""
        found: dict[str, AsOf] = {}
        left = list(entities)
        for step in dict.fromkeys((step_seconds, MINUTE)):
            at = settled_step(now.at, step)
            known = self._as_of((group, step), at, left, read)
            found |= {each: AsOf(at, values) for each, values in known.items()}
            left = [each for each in left if each not in found]
        if left:
            new = read(left, now)
            found |= {each: AsOf(now.at, values) for each, values in new.items()}
        return found

    def _as_of(
        self, key: tuple[Hashable, int], at: int, entities: Sequence[str], read: Read
    ) -> dict[str, Values]:
        if self._at.get(key) != at:
            self._at[key], self._found[key] = at, {}
        kept = self._found[key]
        if missing := [each for each in entities if each not in kept]:
            new = read(missing, Moment(at, at * 1000))
            kept |= {each: new.get(each) for each in missing}
        return {each: values for each in entities if (values := kept[each]) is not None}
