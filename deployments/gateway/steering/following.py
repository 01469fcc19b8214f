"""Keeps a gateway by the steering state: its documents are read, and what is overdue is ended."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from config_store.steering.rollouts.unanswered import Unanswered
from config_store.steering.state import SteeringState
from config_store.steering.watch import LOOKS_WITHIN_SECONDS, UP_TO_DATE_SECONDS
from config_store.store import Version
from deployments.gateway.steering.choice import SteeredChoice, VersionChoice
from deployments.gateway.steering.drift import GATEWAY
from deployments.runtime.replica import Replica
from observability.background import BackgroundLoop
from settings.redis_connection import REDIS_AWAY

# How soon a document is asked for again that could not be read.
STEERED_SECONDS = 1.0


class SteeringFollower:
    """Follows what is stored for one gateway replica, and says what it can go by."""

    def __init__(
        self,
        replica: Replica,
        choice: VersionChoice,
        read: Callable[[int], Awaitable[Version]],
        taken_over: Callable[[], None],
    ) -> None:
        """Take what reads a version, and what to call when another may have come into force."""
        self._replica = replica
        self._choice = choice
        self._taken_over = taken_over
        self._store = replica.steering.store
        self._unanswered = Unanswered(replica.redis)
        self.steered = SteeredChoice(choice, read)

    async def start(self) -> list[BackgroundLoop]:
        """Know the documents that the steering state names before the first request."""
        self._replica.follow(self._keep)
        self._replica.follow_steering(self._follow)
        with suppress(*REDIS_AWAY):
            await self._read_steered()
        loops, pause = self._replica.loops, lambda: STEERED_SECONDS
        return [
            loops.start(
                "read steered versions",
                self._read_steered,
                pause,
                expected=REDIS_AWAY,
                wake=self.steered.wake,
            ),
            loops.start("end what is overdue", self._end_overdue, pause, expected=REDIS_AWAY),
            loops.start("count the unanswered", self._tell_unanswered, pause, expected=REDIS_AWAY),
            loops.start("say what is loaded", self._say_loaded, pause, expected=REDIS_AWAY),
        ]

    def up_to_date(self) -> bool:
        """Tell whether this gateway answers by all that holds now; else the front asks others."""
        return (
            self._replica.steering.up_to_date and self.steered.behind_seconds <= UP_TO_DATE_SECONDS
        )

    def look_first(self) -> Awaitable[None] | None:
        """Have a gateway that was stopped look before it answers, for others went on meanwhile."""
        return self._look() if self._replica.steering.was_stopped else None

    async def _look(self) -> None:
        with suppress(*REDIS_AWAY):
            async with asyncio.timeout(LOOKS_WITHIN_SECONDS):
                await self._replica.steering.looked()
                await self._read_steered()

    def _keep(self, version: Version) -> None:
        """Take a document; the state alone says whether it is gone by."""
        self.steered.keep(version)
        self._taken_over()

    def _follow(self, state: SteeringState) -> None:
        self.steered.follow(state)
        self._taken_over()

    async def _read_steered(self) -> None:
        try:
            await self.steered.step()
        finally:  # where Redis goes away between two documents, the first may be gone by
            self._taken_over()

    async def _say_loaded(self) -> None:
        """Tell whether this gateway has a rollout's candidate, or why it has not."""
        state, here = self._replica.steering.value, self._choice.candidate
        if state is None or state.rollout is None:
            return
        life = state.versions[state.rollout.candidate]
        if here is not None and here.config_hash == life.content_hash:
            await self._replica.say_loaded(life.content_hash)
        elif why := self.steered.why_unreadable(life.number):
            await self._replica.say_loaded(life.content_hash, why)

    async def _tell_unanswered(self) -> None:
        """Add up for the judge which rows no ledger has."""
        await self._choice.tell_counted(self._unanswered.add)

    async def _end_overdue(self) -> None:
        """End what time has ended: overrides, freezes, the lock, a rollout that nobody judges."""
        known, now = self._replica.steering.value, self._replica.clocks.wall()
        await self._store.end_overdue(known, GATEWAY, now)
