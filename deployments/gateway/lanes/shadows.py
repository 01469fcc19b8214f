"""The candidate of a shadow rollout answers what clients asked, off their path and unseen by them.

It is asked after a client has its answer, in lanes of its own. Only a request that finds both lanes
idle when it comes has a shadow, and any other is dropped and counted. So neither answer waits for a
lane or shares its batch, and which requests have a partner does not depend on how long the answer
took: what differs in the two times is the versions' own. What the candidate answers goes to the
ledger as the partner of the client's decision, which it names as `shadow_of`.

Families whose replicas hold state have no shadow: a second answer would change the state.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from access.keys import Principal
from config_store.steering.rollouts.unanswered import StepOf
from config_store.store import Version
from deployments.api.endpoint import FamilyBody
from deployments.gateway.lanes.lane import Lane, LaneLimits
from deployments.gateway.pipeline.answers import Answered, LaneRow
from deployments.gateway.pipeline.pipeline import InferencePipeline
from deployments.gateway.steering.choice import VersionChoice

# One request at a time beside the clients'.
LIMITS = LaneLimits(max_batch_rows=64, batches_in_flight=1, max_waiting_rows=64)


class Shadows:
    """The shadow's lanes, one for each family that may have one."""

    def __init__(
        self,
        pipelines: Mapping[str, InferencePipeline],
        stateful: frozenset[str],
        clock: Callable[[], float],
        choice: VersionChoice,
    ) -> None:
        """Take what counts the rows of a rollout's step, and those of them that got no answer."""
        self._clock = clock
        self._choice = choice
        self._lanes: dict[str, Lane[LaneRow, Answered]] = {
            family: Lane(pipeline.carry, LIMITS, clock)
            for family, pipeline in pipelines.items()
            if family not in stateful
        }
        # Families of which a request is with the clients' version, and comes here then.
        self._expected: set[str] = set()
        # Rows by family and by what became of them, since they were last taken.
        self._counts: Counter[tuple[str, str]] = Counter()

    def takes(self, family: str, rows: int) -> bool:
        """Tell whether the candidate answers a request too; what it does not is counted.

        One of many rows would be sliced, and rest between its slices: it is not for a shadow.
        """
        lane = self._lanes.get(family)
        if lane is None:
            return False
        if family in self._expected or not lane.starts_at_once() or rows > LIMITS.slice_rows:
            self.drop(family, rows)
            return False
        self._expected.add(family)
        return True

    def let_go(self, family: str) -> None:
        """Expect the request no more that the candidate was to answer."""
        self._expected.discard(family)

    def offer(
        self,
        family: str,
        bodies: Sequence[FamilyBody],
        answers: Sequence[Answered],
        principal: Principal,
        request_id: str,
        received: float,
        version: Version,
    ) -> None:
        """Have the candidate answer what was answered just now, as if it had come at that time."""
        deadline = received + version.document.serving.of(family).deadlines.request_ms / 1000
        rows = [
            LaneRow(body, principal, received, deadline, request_id, version, answer.decision_id)
            for body, answer in zip(bodies, answers, strict=True)
            if answer.refusal is None
        ]
        if not rows:
            return
        asked = self._lanes[family].ask(rows, deadline, principal.key_id, version.number)
        of = self._choice.step_of(version)
        asked.add_done_callback(lambda done: self._count(family, of, len(rows), done))

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
        of: StepOf | None,
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
        self._choice.count(of, rows, rows - answered)
