"""What operators and the platform do: ask for changes, draft, restore, put all right at last."""

from collections.abc import Callable
from random import Random
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.document import ConfigDocument
from config_store.errors import ConfigError, TooManyDraftsError
from config_store.steering.commands import (
    Abort,
    Actor,
    Command,
    EmergencyOff,
    LeaveLock,
    RemoveFreeze,
    SetSettings,
    Withdraw,
)
from config_store.steering.drafts import undeployed
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import SteeringState
from config_store.steering.store import SteeringStore
from tests.config_store.simulation.chain import Chain
from tests.config_store.simulation.gateways import SKEW_SECONDS
from tests.config_store.simulation.invariants import ViolationError, check
from tests.config_store.simulation.operators import ADMIN
from tests.config_store.simulation.processes import Document
from tests.config_store.simulation.simulated_redis import Connection

# A clock that nobody set, of one in so many.
WRONG_CLOCKS = 0.03
WRONG_SECONDS = 60.0


class People:
    """They come and go by one connection: nothing of a process is in it."""

    def __init__(
        self,
        random: Random,
        connection: Connection,
        chain: Chain,
        now: Callable[[], float],
        note: Callable[[str], None],
    ) -> None:
        self.store = SteeringStore(cast("Redis", connection))
        self._random = random
        self._chain = chain
        self._now = now
        self._note = note

    async def ask(self, commands: tuple[Command, ...], by: Actor, times: int) -> None:
        """Ask for a change; who lost the answer may ask again."""
        now = self._clock()
        for _ in range(times):
            try:
                changed = await self.store.change(commands, by, now)
            except RedisConnectionError:
                self._note(f"{by.name} does not know whether it was made")
            except ConfigError as refusal:
                self._note(f"{by.name} is refused: {refusal}")
                self._chain.counts["refused"] += 1
                return
            else:
                self._chain.acknowledge(changed.state)
                return

    async def draft(self, by: Actor, document: Document) -> None:
        wanted = cast("ConfigDocument", document)
        try:
            life = await self.store.draft(wanted, "a try", by, self._clock())
        except (RedisConnectionError, ConfigError) as refusal:
            self._note(f"{by.name} has no draft: {refusal}")
            self._chain.counts["drafts too many"] += isinstance(refusal, TooManyDraftsError)
        else:
            check(life.content_hash == document.config_hash, "another document was drafted")

    async def found(self) -> None:
        try:
            self._chain.acknowledge(await self.store.found(ADMIN, self._now()))
        except (RedisConnectionError, ConfigError) as refusal:
            self._note(f"it is not founded: {refusal}")

    async def restore(self, known: SteeringState) -> None:
        try:
            await self.store.restore(known, "it was spoilt", ADMIN, self._clock())
        except (RedisConnectionError, ConfigError) as refusal:
            self._note(f"it is not restored: {refusal}")

    async def must(self, commands: tuple[Command, ...], by: Actor) -> None:
        """Ask for what nothing may be in the way of."""
        try:
            changed = await self.store.change(commands, by, self._now())
        except ConfigError as refusal:
            raise ViolationError(f"{by.name} can do nothing any more: {refusal}") from refusal
        self._chain.acknowledge(changed.state)

    async def must_draft(self, document: Document, by: Actor) -> None:
        wanted = cast("ConfigDocument", document)
        try:
            await self.store.draft(wanted, "at last", by, self._now())
        except ConfigError as refusal:
            raise ViolationError(f"nothing can be drafted any more: {refusal}") from refusal

    def _clock(self) -> float:
        if self._random.random() < WRONG_CLOCKS:
            return self._now() + self._random.uniform(-WRONG_SECONDS, WRONG_SECONDS)
        return self._now() + self._random.uniform(-SKEW_SECONDS, SKEW_SECONDS)


def clearing(state: SteeringState) -> tuple[Command, ...]:
    """Give what ends all that may be in the way of a deploy."""
    rollout = state.rollout
    settings = SteeringSettings(warm=3, versions_kept=8)
    # With the room of these settings none of the drafts that are given up goes by itself before.
    found: list[Any] = [SetSettings(settings), EmergencyOff("all is well"), LeaveLock()]
    found += [RemoveFreeze(each.id) for each in state.freezes]
    found += [Withdraw(each) for each in undeployed(state)]
    found += [] if rollout is None else [Abort(rollout.id, "all is put right")]
    return tuple(found)
