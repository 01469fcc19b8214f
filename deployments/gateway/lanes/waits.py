"""How long rows wait in the lanes, and for which stage: by this replicas are added to stages.

A lane has few batches in flight, so a stage never sees more of a load than those; what waits for it
waits here. A lane waits for whatever its batches are at. So the wait is shared out among the stages
as the batches' time is.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Protocol

from deployments.gateway.pipeline.timings import Spent
from deployments.runtime.autoscaling.signals import wait_for

# What a batch is at, by the names of its laps, where that is not its family's own stage.
SHARED_STAGES = ("features", "safety")
MODEL = "model"


class Waiting(Protocol):
    """What is read of a lane."""

    @property
    def waiting_rows(self) -> int: ...


class LaneWaits:
    """Looks at the lanes again and again, and sums up when it is asked."""

    def __init__(
        self,
        lanes: Mapping[str, Waiting],
        stages: Mapping[str, str],
        take_spent: Callable[[], Spent],
        clock: Callable[[], float],
    ) -> None:
        """Take the lane and the stage of each family, and what tells where batches' time went."""
        self._lanes = lanes
        self._stages = stages
        self._take_spent = take_spent
        self._clock = clock
        self._since = clock()
        self._looks = 0
        self._waiting: defaultdict[str, int] = defaultdict(int)

    def look(self) -> None:
        self._looks += 1
        for family, lane in self._lanes.items():
            if rows := lane.waiting_rows:
                self._waiting[family] += rows

    def report(self) -> dict[str, float]:
        """Give the seconds that a row waits for each stage, in the lane where it waits longest.

        Where nobody waits it says so: Serve keeps what was said last.
        """
        now, spent = self._clock(), self._take_spent()
        passed, self._since = now - self._since, now
        looks, self._looks = self._looks, 0
        waiting, self._waiting = self._waiting, defaultdict(int)
        stages = {*SHARED_STAGES, *self._stages.values()}
        found = {wait_for(stage): 0.0 for stage in sorted(stages)}
        for family, rows in waiting.items():
            # As many wait as come while one waits (Little's law), but none longer than it was.
            wait_s = min(rows / looks * passed / max(spent.rows[family], 1.0), passed)
            for stage, share in self._shares(family, spent).items():
                name = wait_for(stage)
                found[name] = max(found[name], wait_s * share)
        return found

    def _shares(self, family: str, spent: Spent) -> dict[str, float]:
        own = self._stages[family]
        seconds = {stage: spent.seconds[family, stage] for stage in SHARED_STAGES}
        seconds[own] = spent.seconds[family, MODEL]
        total = sum(taken for (of, _), taken in spent.seconds.items() if of == family)
        if not total:  # no batch came back
            return {own: 1.0}
        return {stage: taken / total for stage, taken in seconds.items()}
