"""Rollouts as an operator brings them on their way, the judge, and clients that note their keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import orjson

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.steering.commands import Actor, Command, Deploy
from config_store.steering.settings import RolloutSettings
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.store import SteeringStore
from deployments.api.tail import TailBody
from deployments.history.rollout_judge import RolloutJudge
from observability.ledger.entry import Entry
from tests.deploying import validated
from tests.deployments.house import House
from tests.waiting import until

# Without evidence, or with less than usual, an admin deploys.
ADA = Actor("ada", Role.ADMIN)
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
        return (await validated(self._house.redis, document, now)).number

    async def deploy(
        self,
        number: int,
        name: str,
        strategy: Strategy = Strategy.CANARY,
        shares: tuple[float, ...] | None = None,
        settings: RolloutSettings = QUICK,
    ) -> SteeringState:
        return await self.command(await self._deploy(number, name, strategy, shares, settings))

    async def begin(self, number: int, name: str, settings: RolloutSettings) -> None:
        """Begin a canary whose steps may be over before a gateway knows of them."""
        command = await self._deploy(number, name, Strategy.CANARY, (0.5, 1.0), settings)
        await self.store.change(command, ADA, self._house.context.clocks.wall())

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

    async def _deploy(
        self,
        number: int,
        name: str,
        strategy: Strategy,
        shares: tuple[float, ...] | None,
        settings: RolloutSettings,
    ) -> Deploy:
        after = (await self.store.read()).active
        return Deploy(number, strategy, name, after, shares=shares, settings=settings)


class NoArchive:
    """The archive of a judge who needs none."""

    def spans(self, since_ms: int, before_ms: int) -> list[tuple[str, int, int]]:
        raise AssertionError((since_ms, before_ms))

    def window(self, writer: str, first: int, last: int) -> list[Entry]:
        raise AssertionError((writer, first, last))


@asynccontextmanager
async def judging(house: House) -> AsyncIterator[None]:
    """Have the rollout's judge look on and on.

    It is asked to end, and not cancelled: a client of Redis may lose a cancellation.
    """
    judge, ended = RolloutJudge(house.redis, NoArchive(), time.time), asyncio.Event()

    async def look() -> None:
        while not ended.is_set():
            await judge.step()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        ended.set()
        await looking


async def judged_until(house: House, number: int) -> None:
    """Let the judge look until a version is in force."""
    async with judging(house):
        await until(lambda: house.answering() == number)


def noted(house: House) -> str:
    rollout = house.context.choice.rollout
    return "" if rollout is None else rollout.note


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
