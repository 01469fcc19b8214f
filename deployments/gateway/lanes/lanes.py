"""Puts a request's rows into the lane of their family, and gives the answers back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple, Self

from access.keys import Principal
from config_store.document import Lane as LaneConfig
from config_store.store import Version
from deployments.api.endpoint import FamilyBody
from deployments.api.errors import RefusedError, UnavailableError
from deployments.api.shipped import FAMILIES
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.lanes.lane import Lane, LaneLimits
from deployments.gateway.lanes.shadows import Shadows
from deployments.gateway.large_requests.turns import Turns
from deployments.gateway.pipeline.answers import Answered, LaneRow
from deployments.gateway.pipeline.pipeline import InferencePipeline
from deployments.gateway.steering.choice import Part, VersionChoice
from deployments.runtime.clocks import Clocks


def limits_of(config: LaneConfig) -> LaneLimits:
    return LaneLimits(
        config.max_batch_rows, config.batches_in_flight, config.max_waiting_rows, config.slice_rows
    )


class _InferenceRequest(NamedTuple):
    """One request, as it came."""

    family: str
    bodies: Sequence[FamilyBody]
    principal: Principal
    received: float
    request_id: str
    # The decisions that its rows will be; empty where the pipeline is to make them.
    decision_ids: Sequence[str] = ()

    def take(self, rows: Sequence[int]) -> Self:
        """Give the request with some of its rows."""
        ids = [self.decision_ids[row] for row in rows] if self.decision_ids else ()
        return self._replace(bodies=[self.bodies[row] for row in rows], decision_ids=ids)


class Lanes:
    """The lanes of all families."""

    def __init__(
        self,
        pipelines: dict[str, InferencePipeline],
        choice: VersionChoice,
        clocks: Clocks,
        look_first: Callable[[], Awaitable[None] | None] = lambda: None,
    ) -> None:
        """Take what gives a look to wait for, where what is known may be of long ago."""
        self._choice = choice
        self._clocks = clocks
        self._look_first = look_first
        self.turns = Turns()
        self.room = BodyRoom()
        self._pipelines = pipelines
        stateful = frozenset(family for family in pipelines if FAMILIES[family].key is not None)
        self.shadows = Shadows(pipelines, stateful, clocks.monotonic, choice)
        self.by_family: dict[str, Lane[LaneRow, Answered]] = {
            family: Lane(pipeline.carry, LaneLimits(64, 1, 1024), clocks.monotonic, self.turns)
            for family, pipeline in pipelines.items()
        }

    def configure(self, version: Version) -> None:
        """Take over the lane limits of a new configuration; what waits is not lost."""
        for family, lane in self.by_family.items():
            lane.limits = limits_of(version.document.serving.of(family).lane)

    def now(self) -> float:
        """Tell the time that deadlines count from."""
        return self._clocks.monotonic()

    async def ask(
        self,
        family: str,
        bodies: Sequence[FamilyBody],
        principal: Principal,
        received: float,
        request_id: str,
        decision_ids: Sequence[str] = (),
    ) -> Sequence[Answered]:
        """Carry the rows of one request, which was received at that moment, within its deadline.

        Where the request may come again its rows know which decisions they are.
        """
        if (look := self._look_first()) is not None:
            await look
        version = self._choice.active()
        if version is None:
            raise UnavailableError("No configuration has been loaded yet: is Redis up?")
        given = family, bodies, principal, received, request_id, decision_ids
        if self._choice.rollout is not None:
            return await self._ask_in_rollout(_InferenceRequest(*given))
        found = await self._queue(*given, version)
        return [_answer_of(each, family, request_id) for each in found]

    async def _ask_in_rollout(self, request: _InferenceRequest) -> Sequence[Answered]:
        # Before the answer is known: whether it has a partner must not depend on how long it took.
        candidate, begun = self._choice.shadow, self.now()
        if candidate is None or not self._shadow_takes(request):
            return await self._answers(request)
        try:
            answers = await self._answers(request)
        finally:
            self.shadows.let_go(request.family)
        # What was before the lane is in the times of both answers.
        received = self.now() - (begun - request.received)
        who = request.principal, request.request_id
        self.shadows.offer(request.family, request.bodies, answers, *who, received, candidate)
        return answers

    async def _answers(self, request: _InferenceRequest) -> Sequence[Answered]:
        parts = self._choice.split(FAMILIES[request.family], request.bodies)
        if len(parts) == 1:  # as of every request of one row: a gather would be a task more
            found = await self._part(request, parts[0])
        else:
            found = await self._in_parts(request, parts)
        return [_answer_of(each, request.family, request.request_id) for each in found]

    def _shadow_takes(self, request: _InferenceRequest) -> bool:
        """Tell whether the candidate answers too: neither this nor its answer waits for others."""
        if self.by_family[request.family].starts_at_once():
            return self.shadows.takes(request.family, len(request.bodies))
        self.shadows.drop(request.family, len(request.bodies))
        return False

    def _queue(
        self,
        family: str,
        bodies: Sequence[FamilyBody],
        principal: Principal,
        received: float,
        request_id: str,
        decision_ids: Sequence[str],
        version: Version,
        *,
        queue_number: int = 0,
    ) -> asyncio.Future[Sequence[Answered | Exception]]:
        """Put rows that one version answers into their lane."""
        deadline = received + version.document.serving.of(family).deadlines.request_ms / 1000
        common = principal, received, deadline, request_id, version
        if decision_ids:
            pairs = zip(bodies, decision_ids, strict=True)
            rows = [LaneRow(body, *common, decision_id=each) for body, each in pairs]
        else:
            rows = [LaneRow(body, *common) for body in bodies]
        lane, owner = self.by_family[family], principal.key_id
        return lane.ask(rows, deadline, owner, version.number, queue_number=queue_number)

    async def _in_parts(
        self, request: _InferenceRequest, parts: Sequence[Part]
    ) -> Sequence[Answered | Exception]:
        """Ask each version for its rows, and put the answers in the order of the request.

        Rows of a version that gives no answer have its error; an error of all is the request's.
        """
        waits = [self._part(request.take(each.rows), each) for each in parts]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        failed = [each for each in outcomes if isinstance(each, BaseException)]
        if len(failed) == len(parts):
            raise failed[0]
        found: dict[int, Answered | Exception] = {}
        for part, outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                found |= dict.fromkeys(part.rows, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                found |= zip(part.rows, outcome, strict=True)
        return [found[row] for row in range(len(request.bodies))]

    async def _part(self, request: _InferenceRequest, part: Part) -> Sequence[Answered | Exception]:
        """Ask one version for rows; count those that it leaves without an answer, or refuses."""
        rows, version = len(request.bodies), part.version
        queue_number = version.number if part.compared else 0
        of = self._choice.step_of(version)
        try:
            found = await self._queue(*request, version, queue_number=queue_number)
        except Exception as error:
            is_lost = _is_ours(error)
            self._choice.count(of, rows, rows * is_lost, rows * (not is_lost))
            raise
        why = [reason for each in found if (reason := _why_none(each)) is not None]
        lost = sum(map(_is_ours, why))
        self._choice.count(of, rows, lost, len(why) - lost)
        return found

    async def drain(self) -> None:
        for lane in self.by_family.values():
            await lane.drain()
        await self.shadows.drain()
        for pipeline in self._pipelines.values():
            await pipeline.drain()


def _why_none(found: Answered | Exception) -> Exception | None:
    """Give why a row has no answer; none where it has one."""
    return found.refusal if isinstance(found, Answered) else found


def _is_ours(error: Exception) -> bool:
    """Tell a failure of the platform's from a request that nobody could answer."""
    return not isinstance(error, RefusedError) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _answer_of(found: Answered | Exception, family: str, request_id: str) -> Answered:
    """Refuse in its place a row that got no answer, where rows of the family may be refused."""
    if isinstance(found, Answered):
        return found
    if isinstance(found, RefusedError) and FAMILIES[family].refuses_rows:
        return Answered("", found.body(request_id), found)
    raise found
