"""What was foretold of each hour, until it is known what came of it and the intervals learn."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from deployments.coverage.outcomes import Outcomes
from deployments.coverage.standings import Standings
from deployments.errors import RefusedError, UnavailableError
from deployments.forecasts.board import Board, hourly_score
from deployments.forecasts.past import Past

# So many are kept while the history is away, and outcomes while Redis is.
MOST_HOURS = 48
MOST_OUTCOMES = 10_000

log = logging.getLogger(__name__)


class Answered(NamedTuple):
    """What clients were answered by: a board, the model asked for, and each entity's offset."""

    board: Board
    model: str
    offsets: Mapping[str, float]


class Foretold:
    """Each hour counts once for each entity, whichever replica tells of it first."""

    def __init__(self, outcomes: Outcomes, standings: Standings) -> None:
        self._outcomes = outcomes
        self._standings = standings
        self._latest: Answered | None = None
        self._over: deque[Answered] = deque(maxlen=MOST_HOURS)
        self._untold: deque[dict[str, Any]] = deque(maxlen=MOST_OUTCOMES)

    def note(self, board: Board, model: str) -> None:
        """Note what clients are answered by now: the last of an hour is held against the truth.

        Whichever alias named it, and for whatever reason it was made.
        """
        if self._latest is not None and self._latest.board.hour < board.hour:
            self._over.append(self._latest)
        entities = board.entities
        offsets = self._standings.offsets(entities).tolist()
        self._latest = Answered(board, model, dict(zip(entities, offsets, strict=True)))

    async def tell(self, past: Mapping[str, Past], until: int) -> None:
        """Tell what came of the hours before `until`, which the past holds.

        A board's first hour is the one after that in which it was made.
        """
        while self._over and self._over[0].board.hour + 1 < until:
            self.weigh(self._over.popleft(), past)
        for _ in range(len(self._untold)):
            ask = self._untold.popleft()
            try:
                await self._take(ask)
            except (UnavailableError, RedisError, OSError) as away:
                # Behind the others: what keeps one entity's back may be its own state.
                self._untold.append(ask)
                log.info("An hour's outcome is to be told again: %s", away)
                return

    def weigh(self, answered: Answered, past: Mapping[str, Past]) -> None:
        """Hold a board's first hour against the past: what comes of it is told next."""
        model = answered.model.removeprefix("forecasting/")
        for entity, each in past.items():
            offset = answered.offsets.get(entity, 0.0)
            try:
                found = hourly_score(answered.board, entity, each, model, offset)
            except Exception:
                # Whatever is wrong with one entity: the others lose nothing by it.
                log.exception("An hour of %s cannot be weighed", entity)
                continue
            if found is not None:
                self._untold.append(found)

    async def _take(self, ask: dict[str, Any]) -> None:
        outcome = {name: value for name, value in ask.items() if name != "entity"}
        try:
            await self._outcomes.take("capacity", ask["entity"], outcome)
        except UnavailableError:
            raise
        except RefusedError as refusal:  # another replica told it
            log.info("An hour's outcome was not taken: %s", refusal.message)
