"""Puts a request's rows into the lane of their family, and gives the answers back."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from access.keys import Principal
from config_store.document import Lane as LaneConfig
from config_store.store import Version
from deployments.api.endpoint import FamilyBody
from deployments.api.errors import RefusedError, UnavailableError
from deployments.api.shipped import FAMILIES
from deployments.gateway.answers import Answered, LaneRow
from deployments.gateway.body_room import BodyRoom
from deployments.gateway.choice import VersionChoice
from deployments.gateway.lane import Lane, LaneLimits
from deployments.gateway.pipeline import InferencePipeline
from deployments.gateway.shadows import Shadows
from deployments.gateway.turns import Turns
from deployments.runtime.clocks import SystemClocks


def limits_of(config: LaneConfig) -> LaneLimits:
    return LaneLimits(
        config.max_batch_rows, config.batches_in_flight, config.max_waiting_rows, config.slice_rows
    )


class _Asked(NamedTuple):
    """One request, as it came."""

    family: str
    bodies: Sequence[FamilyBody]
    principal: Principal
    received: float
    request_id: str


class Lanes:
    """The lanes of all families."""

    def __init__(
        self,
        pipelines: dict[str, InferencePipeline],
        choice: VersionChoice,
        clocks: SystemClocks,
    ) -> None:
        self._choice = choice
        self._clocks = clocks
        self.turns = Turns()
        self.room = BodyRoom()
        stateful = frozenset(family for family in pipelines if FAMILIES[family].key is not None)
        self.shadows = Shadows(pipelines, stateful, clocks.monotonic, choice.count)
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
    ) -> Sequence[Answered]:
        """Carry the rows of one request, which was received at that moment, within its deadline."""
        version = self._choice.active()
        if version is None:
            raise UnavailableError("No configuration has been loaded yet: is Redis up?")
        asked = family, bodies, principal, received, request_id
        if self._choice.rollout is not None:
            return await self._ask_in_rollout(_Asked(*asked))
        found = await self._queue(*asked, version)
        return [_answer_of(each, family, request_id) for each in found]

    async def _ask_in_rollout(self, asked: _Asked) -> Sequence[Answered]:
        parts = self._choice.split(FAMILIES[asked.family], asked.bodies)
        if len(parts) == 1:  # as of every request of one row: a gather would be a task more
            found = await self._part(asked, parts[0][0])
        else:
            found = await self._in_parts(asked, parts)
        answers = [_answer_of(each, asked.family, asked.request_id) for each in found]
        if (candidate := self._choice.shadow) is not None:
            self._shadow(asked, answers, candidate)
        return answers

    def _shadow(self, asked: _Asked, answers: Sequence[Answered], candidate: Version) -> None:
        """Have the candidate answer too, unless clients wait: they come first."""
        family = asked.family
        if self.by_family[family].waiting_rows:
            self.shadows.drop(family, len(answers))
            return
        self.shadows.offer(
            family, asked.bodies, answers, asked.principal, asked.request_id, candidate
        )

    def _queue(
        self,
        family: str,
        bodies: Sequence[FamilyBody],
        principal: Principal,
        received: float,
        request_id: str,
        version: Version,
        *,
        beside: bool = False,
    ) -> asyncio.Future[Sequence[Answered | Exception]]:
        """Put rows that one version answers into their lane."""
        deadline = received + version.document.serving.of(family).deadlines.request_ms / 1000
        rows = [
            LaneRow(body, principal, received, deadline, request_id, version) for body in bodies
        ]
        lane, owner = self.by_family[family], principal.key_id
        return lane.ask(rows, deadline, owner, version.number, beside=beside)

    async def _in_parts(
        self, asked: _Asked, parts: Sequence[tuple[Version, list[int]]]
    ) -> Sequence[Answered | Exception]:
        """Ask each version for its rows, and put the answers in the order of the request.

        Rows of a version that gives no answer have its error; an error of all is the request's.
        """
        waits = [
            self._part(asked._replace(bodies=[asked.bodies[row] for row in rows]), version)
            for version, rows in parts
        ]
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        failed = [each for each in outcomes if isinstance(each, BaseException)]
        if len(failed) == len(parts):
            raise failed[0]
        found: dict[int, Answered | Exception] = {}
        for (_, rows), outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                found |= dict.fromkeys(rows, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                found |= zip(rows, outcome, strict=True)
        return [found[row] for row in range(len(asked.bodies))]

    async def _part(self, asked: _Asked, version: Version) -> Sequence[Answered | Exception]:
        """Ask one version for rows, and count those that it leaves without an answer."""
        rows, beside = len(asked.bodies), self._choice.is_candidate(version)
        try:
            found = await self._queue(*asked, version, beside=beside)
        except Exception as error:
            self._choice.count(version, rows, rows * _is_ours(error))
            raise
        self._choice.count(version, rows, sum(map(_is_lost, found)))
        return found

    async def drain(self) -> None:
        for lane in self.by_family.values():
            await lane.drain()
        await self.shadows.drain()


def _is_lost(found: Answered | Exception) -> bool:
    error = found.refusal if isinstance(found, Answered) else found
    return error is not None and _is_ours(error)


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
