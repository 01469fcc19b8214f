"""What is left of a batch's time, stage by stage: one deadline bounds them all.

Each part has its own limit and never more than what is left. The ledger's part is kept back from
the stages before it, so that an answer that was worked out can also be written down in time.

Requests of a batch differ by the moment they came in. The batch goes by the latest of their
deadlines: by the earliest, one request that is nearly late would take the time of its neighbours.
The lane answers each request that is late by itself (lanes/lane.py).
"""

from collections.abc import Callable, Sequence

from config_store.document import Deadlines
from deployments.api.errors import LateError
from deployments.gateway.pipeline.answers import LaneRow


class TimeLeft:
    """One batch's remaining time, in seconds."""

    def __init__(
        self, asks: Sequence[LaneRow], deadlines: Deadlines, clock: Callable[[], float]
    ) -> None:
        self._deadline = max(ask.deadline for ask in asks)
        self._limits = deadlines
        self._clock = clock

    def for_features(self) -> float:
        return min(self._limits.features_ms / 1000, self._before_the_ledger())

    def for_model(self) -> float:
        return min(self._limits.model_ms / 1000, self._before_the_ledger())

    def for_safety(self) -> float:
        return self._before_the_ledger()

    def for_ledger(self) -> float:
        """Give all that is left: what is being recorded should leave."""
        if (left := self._left()) <= 0:
            raise LateError
        return left

    def ledger_limit(self) -> float:
        """Give the ledger's own limit: a batch that is nearly late calls no slow Redis absent."""
        return self._limits.ledger_ms / 1000

    def _before_the_ledger(self) -> float:
        """Give what a stage may still use; LateError when nothing is left."""
        left = self._left() - self._limits.ledger_ms / 1000
        if left <= 0:
            raise LateError
        return left

    def _left(self) -> float:
        return self._deadline - self._clock()
