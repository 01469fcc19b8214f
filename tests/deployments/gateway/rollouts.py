"""Rollouts as an operator brings them on their way, and clients that keep what each key saw."""

import asyncio
from collections.abc import Sequence
from itertools import count

import orjson

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.steering.commands import Actor, Command, Deploy, Validated
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from deployments.api.tail import TailBody
from tests.deployments.house import House
from tests.waiting import until

ADA = Actor("ada", Role.OPERATOR)
WHO = Principal("k", Role.CLIENT)
QUICK = RolloutSettings(evidence=False, lead_seconds=0.1, step_seconds=600, rollout_seconds=3600)


class Operator:
    """Steers as the endpoints do."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.store = SteeringStore(house.redis)

    async def draft(self, document: ConfigDocument) -> int:
        """Write a version that may be deployed."""
        now = self._house.context.clocks.wall()
        life = await self.store.draft(document, "a change", ADA, now)
        await self.store.change(Validated(life.number, life.content_hash), ADA, now)
        return life.number

    async def deploy(
        self,
        number: int,
        name: str,
        strategy: Strategy = Strategy.CANARY,
        shares: tuple[float, ...] | None = None,
        settings: RolloutSettings = QUICK,
    ) -> SteeringState:
        after = (await self.store.read()).active
        return await self.command(
            Deploy(number, strategy, name, after, shares=shares, settings=settings)
        )

    async def command(self, command: Command) -> SteeringState:
        """Change the state; wait until the gateway goes by it, and a step that begins has begun."""
        wall = self._house.context.clocks.wall
        state = (await self.store.change(command, ADA, wall())).state
        choice = self._house.context.choice
        await until(lambda: choice.rollout == state.rollout)
        await until(lambda: self._house.answering() == state.active)
        if (rollout := state.rollout) is not None:
            await until(lambda: wall() >= rollout.step_begun)
        return state


class Clients:
    """Ask for their own keys again and again, one request after another, and note each version."""

    def __init__(self, house: House, keys: Sequence[str], each: int = 5) -> None:
        self._lanes = house.context.lanes
        self._ids = count()
        self._ended = False
        self._groups = [keys[at : at + each] for at in range(0, len(keys), each)]
        self._rounds = [0] * len(self._groups)
        self.seen: dict[str, list[int]] = {key: [] for key in keys}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as running:  # one that fails ends the others, and the test
            for at in range(len(self._groups)):
                running.create_task(self._client(at))

    async def one_more(self) -> dict[str, int]:
        """Wait until each key was asked for and answered from now on; give what it saw last."""
        wanted = [each + 2 for each in self._rounds]  # the first may have been asked before
        await until(lambda: all(a >= b for a, b in zip(self._rounds, wanted, strict=True)))
        return {key: versions[-1] for key, versions in self.seen.items()}

    def end(self) -> None:
        self._ended = True

    async def _client(self, at: int) -> None:
        bodies = [TailBody(entity=key, load=0.5) for key in self._groups[at]]
        while not self._ended:
            found = await self._lanes.ask(
                "tail", bodies, WHO, self._lanes.now(), f"{next(self._ids)}"
            )
            for key, answer in zip(self._groups[at], found, strict=True):
                self.seen[key].append(orjson.loads(answer.envelope)["meta"]["config_version"])
            self._rounds[at] += 1


def runs(versions: Sequence[int]) -> list[int]:
    """Give the versions in their order, each as often as the key came to it anew."""
    return [each for at, each in enumerate(versions) if at == 0 or versions[at - 1] != each]
