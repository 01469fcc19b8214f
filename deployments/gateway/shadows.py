"""The candidate of a shadow rollout answers what clients asked, off their path and unseen by them.

It is asked after a client has its answer, in lanes of its own. Where the clients' lane is busy, or
the shadow's is full, a request is dropped and counted: no client waits for a shadow. What it
answers goes to the ledger as the partner of the client's decision, which it names as `shadow_of`.

Families whose replicas hold state have no shadow: a second answer would change the state.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from access.keys import Principal
from config_store.store import Version
from deployments.api.endpoint import FamilyBody
from deployments.gateway.answers import Answered, LaneRow
from deployments.gateway.lane import Lane, LaneLimits
from deployments.gateway.pipeline import InferencePipeline

# One batch at a time beside the clients'; what comes meanwhile shares the next one.
LIMITS = LaneLimits(max_batch_rows=64, batches_in_flight=1, max_waiting_rows=256)


class Shadows:
    """The shadow's lanes, one for each family that may have one."""

    def __init__(
        self,
        pipelines: Mapping[str, InferencePipeline],
        stateful: frozenset[str],
        clock: Callable[[], float],
        count: Callable[[Version, int, int], None],
    ) -> None:
        """Take what counts a version's rows, and those of them that got no answer."""
        self._clock = clock
        self._count_lost = count
        self._lanes: dict[str, Lane[LaneRow, Answered]] = {
            family: Lane(pipeline.carry, LIMITS, clock)
            for family, pipeline in pipelines.items()
            if family not in stateful
        }
        # Rows by family and by what became of them, since they were last taken.
        self._counts: Counter[tuple[str, str]] = Counter()

    def offer(
        self,
        family: str,
        bodies: Sequence[FamilyBody],
        answers: Sequence[Answered],
        principal: Principal,
        request_id: str,
        version: Version,
    ) -> None:
        """Have the candidate answer what was answered just now, if there is room for it."""
        lane = self._lanes.get(family)
        if lane is None:
            return
        now = self._clock()
        deadline = now + version.document.serving.of(family).deadlines.request_ms / 1000
        rows = [
            LaneRow(body, principal, now, deadline, request_id, version, answer.decision_id)
            for body, answer in zip(bodies, answers, strict=True)
            if answer.refusal is None
        ]
        if not rows:
            return
        # One of many rows would be sliced, and rest between its slices: it is not for a shadow.
        if len(rows) > LIMITS.slice_rows or lane.waiting_rows + len(rows) > LIMITS.max_waiting_rows:
            self.drop(family, len(rows))
            return
        asked = lane.ask(rows, deadline, principal.key_id, version.number)
        asked.add_done_callback(lambda done: self._count(family, version, len(rows), done))

    def drop(self, family: str, rows: int) -> None:
        """Count rows that no shadow answers."""
        if family in self._lanes:
            self._counts[family, "dropped"] += rows

    def take_counts(self) -> Mapping[tuple[str, str], int]:
        taken, self._counts = self._counts, Counter()
        return taken

    async def drain(self) -> None:
        for lane in self._lanes.values():
            await lane.drain()

    def _count(
        self,
        family: str,
        version: Version,
        rows: int,
        done: "asyncio.Future[Sequence[Answered | Exception]]",
    ) -> None:
        answered = 0
        if not done.cancelled() and done.exception() is None:
            found = done.result()
            answered = sum(isinstance(each, Answered) and each.refusal is None for each in found)
        self._counts[family, "answered"] += answered
        self._counts[family, "failed"] += rows - answered
        # The client was answered: so a row that is refused here is lost by the candidate.
        self._count_lost(version, rows, rows - answered)
