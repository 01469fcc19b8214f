"""The in-process cache of feature rows: bounded, aware of age, and of entities nobody knows."""

from collections import OrderedDict
from dataclasses import dataclass

from features.rows import FeatureRow

# A client may name any entity it likes; the cache must not grow with a client's imagination.
MOST_ENTITIES = 20_000


@dataclass(slots=True)
class Cached:
    row: FeatureRow | None  # None: the store was asked and knows no such entity
    fetched_at: float
    asked_at: float


class FeatureCache:
    """Keeps the entities asked for most recently."""

    def __init__(self, capacity: int = MOST_ENTITIES) -> None:
        self._capacity = capacity
        self._rows: OrderedDict[str, Cached] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, entity: str, now: float) -> Cached | None:
        """Give what is cached of an entity that somebody asks for."""
        cached = self._rows.get(entity)
        if cached is not None:
            cached.asked_at = now
            self._rows.move_to_end(entity)
        return cached

    def put(self, entity: str, row: FeatureRow | None, now: float) -> None:
        """Keep what was fetched; a row that is known outlives a fetch that found none."""
        known = self._rows.get(entity)
        if known is None:
            self._rows[entity] = Cached(row, fetched_at=now, asked_at=now)
        else:
            known.row, known.fetched_at = row or known.row, now
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)

    def older_than(self, fetched_before: float) -> list[str]:
        """Name the entities that were fetched before this moment."""
        return [e for e, cached in self._rows.items() if cached.fetched_at < fetched_before]

    def forget_idle(self, asked_before: float) -> None:
        """Drop the entities that nobody has asked for since."""
        for entity in [e for e, cached in self._rows.items() if cached.asked_at < asked_before]:
            del self._rows[entity]
