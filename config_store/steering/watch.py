"""The steering state in memory, on every gateway and replica that goes by it."""

import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis

from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.watch import POLL_SECONDS, RedisWatch
from observability.background import Loops

log = logging.getLogger(__name__)


class SteeringWatch(RedisWatch[SteeringState]):
    """Keeps the last state while Redis is away, and an emergency until an admin ended it."""

    def __init__(
        self,
        redis: Redis,
        on_change: Callable[[SteeringState], None],
        *,
        poll_seconds: float = POLL_SECONDS,
        loops: Loops | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = SteeringStore(redis)
        self._clock = clock
        self._seen_at = clock()
        self._fallen: SteeringState | None = None
        super().__init__(
            redis,
            self._store.channel,
            self._load_held,
            on_change,
            poll_seconds=poll_seconds,
            loops=loops,
        )

    @property
    def age_seconds(self) -> float:
        """How long ago the state was last read; before the first time, how long it has watched."""
        return self._clock() - self._seen_at

    async def _load_held(self) -> SteeringState:
        asked_at = self._clock()
        found, known = await self._store.read(), self.value
        self._seen_at = asked_at
        if known is not None and found.revision < known.revision and found != self._fallen:
            self._fallen = found
            log.warning(
                "Redis has revision %d of the steering state, and this process knew %d: it lost "
                "the changes between them",
                found.revision,
                known.revision,
            )
        return held(known, found)


def held(known: SteeringState | None, found: SteeringState) -> SteeringState:
    """Keep an emergency that is known until it was ended, whatever Redis forgot.

    A Redis that was killed may come back without its last second.
    """
    if known is None or known.emergency is None or found.emergency is not None:
        return found
    if found.released is not None and found.released >= known.emergency.since:
        return found
    return found.model_copy(update={"emergency": known.emergency})
