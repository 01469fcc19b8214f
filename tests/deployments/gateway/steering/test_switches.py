"""Configurations are switched under load: all that a row says is of the version that it names."""

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import count

import orjson
import pytest

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.store import Version
from deployments.api.bandits import BanditBody
from deployments.api.endpoint import FamilyBody
from deployments.api.tail import TailBody
from deployments.gateway.lanes.lane import LaneLimits
from tests.deploying import deployed
from tests.deployments.gateway.told_apart import at_step, mixed
from tests.deployments.house import NOW, House
from tests.effort import tries
from tests.waiting import until

SWITCHES = tries(200, long=1_000)
WHO = Principal("k", Role.CLIENT)


class Notices:
    """Brings notices to each stage late, and to each in an order of its own."""

    def __init__(self, house: House, draw: random.Random) -> None:
        self._draw = draw
        self._replicas = [each for replicas in house.replicas.values() for each in replicas]
        self._undelivered: list[list[Version]] = [[] for _ in self._replicas]

    async def take_over(self) -> None:
        for each in self._replicas:
            await each.replica.config.stop()

    def send(self, version: Version) -> None:
        for replica, versions in zip(self._replicas, self._undelivered, strict=True):
            versions.append(version)
            self._draw.shuffle(versions)
            for _ in range(min(self._draw.randint(0, 2), len(versions))):
                replica.configure(versions.pop())


class Load:
    """Clients that ask again as soon as they are answered, until they are to stop."""

    def __init__(self, house: House) -> None:
        self._lanes = house.context.lanes
        self._ids = count()
        self._first = 0
        self._ended = False
        self._answered = asyncio.Event()
        # Requests whose rows name more than one version.
        self.split: list[set[int]] = []

    async def one_more(self) -> None:
        """Wait for a request that is sent from now on to be answered."""
        self._first, self._answered = next(self._ids), asyncio.Event()
        await self._answered.wait()

    async def client(self, family: str, bodies: Sequence[FamilyBody]) -> None:
        while not self._ended:
            own = next(self._ids)
            found = await self._lanes.ask(family, bodies, WHO, self._lanes.now(), f"r{own}")
            named = {orjson.loads(each.envelope)["meta"]["config_version"] for each in found}
            if len(named) > 1:
                self.split.append(named)
            if family == "tail" and own > self._first:
                self._answered.set()

    def end(self) -> None:
        self._ended = True


async def under_load(
    house: House, switches: int, seed: int
) -> tuple[dict[int, ConfigDocument], Load]:
    """Switch again and again while requests are under way; give the versions by number."""
    load = Load(house)
    notices = Notices(house, random.Random(seed))  # noqa: S311 - a test
    documents = {1: house.document}
    await notices.take_over()
    long = [TailBody(entity=f"nobody-{row}", load=0.5) for row in range(7)]
    clients = [
        *(load.client("tail", [TailBody(entity="nobody", load=0.1 * at)]) for at in (1, 2)),
        load.client("tail", long),
        load.client("bandit", [BanditBody(experiment="e", context={}, arms=["a", "b"])]),
    ]
    async with asyncio.TaskGroup() as running:  # one that fails ends the others, and the test
        for each in clients:
            running.create_task(each)
        for step in range(1, switches + 1):
            document = at_step(house.document, step)
            number = await deployed(house.redis, document)
            documents[number] = document
            await until(_is_at(house, number))
            house.context.lanes.by_family["tail"].limits = LaneLimits(4, 2, 1024, slice_rows=3)
            notices.send(Version(number, document.config_hash, "ada", "a change", NOW, document))
            await load.one_more()
        load.end()
    return documents, load


def _is_at(house: House, number: int) -> Callable[[], bool]:
    return lambda: house.answering() == number


@pytest.mark.timeout(900)  # a thousand switches on two busy cores
@pytest.mark.usefixtures("challenger")
async def test_switches_under_load_mix_no_row(house: House) -> None:
    documents, load = await under_load(house, SWITCHES, seed=1)
    rows = await house.ledger()
    wrong = {
        row["decision_id"]: parts
        for row in rows
        if (parts := mixed(row, documents[row["config_version"]]))
    }
    assert not wrong, f"{len(wrong)} of {len(rows)} rows are mixed: {list(wrong.items())[:3]}"
    # A request of many rows has one version too, whatever came between its slices.
    assert not load.split
    switched = set(range(2, SWITCHES + 2))
    assert {row["config_version"] for row in rows if row["family"] == "tail"} >= switched
    assert {row["family"] for row in rows} == {"tail", "bandit"}
    # None of them is right only because a stage was lost and something else stood in for it.
    assert not any(row["answer"]["safety"]["fallback"] for row in rows)
    hashes = {number: document.config_hash for number, document in documents.items()}
    for row in rows:
        number, stages = row["config_version"], row["stages"]
        assert row["config_hash"] == hashes[number]
        policy = documents[number].safety.families[row["family"]].content_hash()
        assert stages["safety"] == {"version": number, "policy": policy}
        assert stages["model"]["version"] == number
        assert stages["model"]["model_version"] == row["model_version"]
        assert stages["features"] == ({"version": number} if row["family"] == "tail" else None)
