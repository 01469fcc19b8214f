"""The process's own copy of vectors: who asks for what others ask for waits on nobody.

What is asked for is read again before it is too old to be given; what nobody asks for any more is
let go of. Nothing is kept of an entity that has no vector: it is found as soon as it has one.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from features.shared_fetch import SharedFetch
from features.vectors.published import PublishedVectors
from features.vectors.reading import Stored
from settings.redis_connection import REDIS_AWAY

# Half a kilobyte each.
MOST_KEPT = 20_000
# A vector is renewed once it is so many refreshes old, and given until it is that many more.
RENEWED_AFTER, GIVEN_FOR = 1.0, 2.5
# Nobody has asked for it for as long: it is not renewed.
IDLE_SECONDS = 60.0
# One question of the round: more would hold the loop for milliseconds.
A_QUESTION = 100


@dataclass(slots=True)
class KeptVector:
    stored: Stored
    fetched_at: float
    asked_at: float


class KeptVectors:
    """Reads vectors out of memory where they are new enough, and the others all at once."""

    def __init__(
        self,
        published: PublishedVectors,
        clock: Callable[[], float],
        refresh_seconds: Callable[[], float],
    ) -> None:
        self._published = published
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._kept: OrderedDict[str, KeptVector] = OrderedDict()
        self._fetches = SharedFetch(self._fetch)
        self._hits = self._misses = 0

    async def read(self, entities: Sequence[str]) -> list[Stored | None]:
        """Give each entity's vector; raises what says that Redis is away where one must be read.

        While Redis is away, what was read last is given: it says itself how old it is.
        """
        found = self._in_memory(entities)
        missing = [*dict.fromkeys(e for e, each in zip(entities, found, strict=True) if not each)]
        self._hits += len(found) - found.count(None)
        self._misses += len(missing)
        if not missing:
            return found
        new = await self._read_or_kept(missing)
        return [each or new[entity] for entity, each in zip(entities, found, strict=True)]

    async def refresh(self) -> None:
        """Read again what is asked for, before it is too old, and let go of what is not."""
        now = self._clock()
        self._forget(now - max(IDLE_SECONDS, GIVEN_FOR * self._refresh_seconds()))
        due_before = now - RENEWED_AFTER * self._refresh_seconds()
        due = [entity for entity, each in self._kept.items() if each.fetched_at <= due_before]
        for first in range(0, len(due), A_QUESTION):
            await self._fetches.get(due[first : first + A_QUESTION])

    def take_counts(self) -> tuple[int, int]:
        """Give how many were found in memory and how many were not, since the last time."""
        counts = self._hits, self._misses
        self._hits = self._misses = 0
        return counts

    async def close(self) -> None:
        await self._fetches.close()

    def _in_memory(self, entities: Sequence[str]) -> list[Stored | None]:
        kept, now = self._kept, self._clock()
        oldest = now - GIVEN_FOR * self._refresh_seconds()
        found: list[Stored | None] = []
        for entity in entities:
            each = kept.get(entity)
            if each is not None:
                each.asked_at = now
            found.append(each.stored if each is not None and each.fetched_at >= oldest else None)
        return found

    async def _read_or_kept(self, entities: list[str]) -> dict[str, Stored | None]:
        try:
            return await self._fetches.get(entities)
        except REDIS_AWAY:
            if any(each not in self._kept for each in entities):
                raise
            return {each: self._kept[each].stored for each in entities}

    async def _fetch(self, entities: list[str]) -> dict[str, Stored | None]:
        stored = await self._published.read(entities)
        now = self._clock()
        for entity, each in zip(entities, stored, strict=True):
            self._keep(entity, each, now)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return dict(zip(entities, stored, strict=True))

    def _keep(self, entity: str, stored: Stored | None, now: float) -> None:
        known = self._kept.get(entity)
        if stored is None:
            self._kept.pop(entity, None)
        elif known is None:
            self._kept[entity] = KeptVector(stored, now, now)
        else:
            # The same bytes stay the same object, by which what was made of them is recognized.
            known.stored = known.stored if known.stored == stored else stored
            known.fetched_at = now

    def _forget(self, asked_before: float) -> None:
        for entity in [e for e, each in self._kept.items() if each.asked_at < asked_before]:
            del self._kept[entity]
