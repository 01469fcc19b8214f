"""The steering state in memory, on every gateway and replica that goes by it."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import Redis

from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from config_store.watch import RedisWatch
from observability.background import Loops

log = logging.getLogger(__name__)

# With or without a notice. See docs/decisions/stragglers.md for how these fit the lead of a step.
LOOK_SECONDS = 1.0
UP_TO_DATE_SECONDS = 2.0
# A Redis that starts anew is away for less; who has not looked for so long is said to lag.
LAGS_SECONDS = 5.0
# A look is begun every second, and whether Redis answers or not it has ended within 3 s.
STOPPED_SECONDS = 4.0
# What is asked of a process that was stopped waits for so long at most.
LOOKS_WITHIN_SECONDS = 1.0


class SteeringWatch(RedisWatch[SteeringState]):
    """Keeps the last state while Redis is away, and an emergency until an admin ended it."""

    def __init__(
        self,
        redis: Redis,
        on_change: Callable[[SteeringState], None],
        *,
        poll_seconds: float = LOOK_SECONDS,
        loops: Loops | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = SteeringStore(redis)
        self._clock = clock
        self._seen_at = clock()
        self._fallen: SteeringState | None = None
        self._lag_logged = False
        # When a look last came to its end, well or not; and what each end of one is waited by.
        self._ended_at = clock()
        self._ended = asyncio.Event()
        self._stopped = False
        super().__init__(
            redis,
            self.store.channel,
            self._load_held,
            on_change,
            poll_seconds=poll_seconds,
            loops=loops,
        )

    @property
    def age_seconds(self) -> float:
        """How long ago the state was last read; before the first time, how long it has watched."""
        return self._clock() - self._seen_at

    @property
    def up_to_date(self) -> bool:
        """Tell whether every step that has begun is known here."""
        return self.value is not None and self.age_seconds <= UP_TO_DATE_SECONDS

    @property
    def lags(self) -> bool:
        return self.age_seconds > LAGS_SECONDS

    @property
    def was_stopped(self) -> bool:
        """Tell whether this process stood still, as in SIGSTOP, and has not looked since.

        A Redis that is away is another thing: then looks come to an end all the same.
        """
        still = self._clock() - self._ended_at > STOPPED_SECONDS
        return self._loop is not None and (self._stopped or still)

    async def looked(self) -> None:
        """Wait until a process that was stopped has looked: it must not go by what held before.

        Where Redis does not answer soon, what is known is all that there is.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_WITHIN_SECONDS):
                while self.was_stopped:
                    await self._ended.wait()

    def log_lag(self) -> None:
        """Say once that it lags, and once that it does no more; to be called again and again."""
        if self.lags == self._lag_logged:
            return
        self._lag_logged = self.lags
        if self.lags:
            log.error(
                "The steering state has not been read for %.0f s (%s): this process goes by what "
                "it knew then, and others are asked before it until it reads it again",
                self.age_seconds,
                self._trouble or "Redis does not answer",
            )
        else:
            log.warning("The steering state is read again")

    async def _refresh(self) -> bool:
        changed = await super()._refresh()
        self._note_end()
        return changed

    def _lose(self, trouble: Exception) -> None:
        super()._lose(trouble)
        self._note_end()

    def _note_end(self) -> None:
        """Note the end of a look; of one that was on its way in a stop another has to follow."""
        now = self._clock()
        still = now - self._ended_at > STOPPED_SECONDS
        self._ended_at = now
        self._stopped = still and self.age_seconds > STOPPED_SECONDS
        self._ended.set()
        self._ended = asyncio.Event()

    async def _load_held(self) -> SteeringState:
        asked_at = self._clock()
        found, known = await self.store.read(), self.value
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
