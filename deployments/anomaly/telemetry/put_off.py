"""Entities whose streams took nothing, each put off by itself, and for longer each time."""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

FIRST_SECONDS, MOST_SECONDS = 2.0, 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wait:
    """How often an entity failed in a row, and until when it is left alone."""

    times: int
    until: float


class PutOff:
    """What is written of nowhere: who takes over tries them all."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._waits: dict[str, _Wait] = {}

    def without(self, entities: Iterable[str]) -> list[str]:
        """Leave out those whose time has not come yet."""
        now = self._monotonic()
        waits = self._waits
        return [each for each in entities if each not in waits or waits[each].until <= now]

    def times(self, entity: str) -> int:
        """Say how often an entity has failed in a row."""
        wait = self._waits.get(entity)
        return 0 if wait is None else wait.times

    def note(self, taken: Iterable[str], refused: Collection[str]) -> None:
        """Note what came of these: one that failed waits twice as long as the last time."""
        for entity in taken:
            self._waits.pop(entity, None)
        now = self._monotonic()
        for entity in sorted(refused):
            times = self.times(entity) + 1
            seconds = min(FIRST_SECONDS * 2 ** (times - 1), MOST_SECONDS)
            self._waits[entity] = _Wait(times, now + seconds)
            if times == 1:
                log.warning(
                    "A stream of %r took nothing of its telemetry; it is tried again, and the "
                    "other entities go on",
                    entity,
                )
