"""Configurations are switched under load: all that a row says is of the version that it names."""

import asyncio
import random
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest

from access.keys import Principal, Role
from config_store.document import BanditsConfig, ConfigDocument
from config_store.store import ConfigStore, Version
from deployments.api.bandits import BanditBody
from deployments.api.endpoint import FamilyBody
from deployments.api.tail import TailBody
from deployments.gateway.lane import LaneLimits
from models.model_version import ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION
from models.tail.xgboost_quantile import TailModel
from safety.limits import Level, Range, Repair
from tests.deployments.house import NOW, House, document_with
from tests.effort import tries
from tests.waiting import until

SWITCHES = tries(200, long=1_000)
WHO = Principal("k", Role.CLIENT)
CHALLENGER = "challenger"
NUMBERS = {CHAMPION: "1.0.0", CHALLENGER: "1.1.0"}
Row = dict[str, Any]


def at_step(document: ConfigDocument, step: int) -> ConfigDocument:
    """Make a version that policy, model and features can be told by."""
    features = document.features.model_copy(
        update={"defaults": document.features.defaults | {"baseline_rate": 1_000.0 + step}}
    )
    bound = Range(
        field="p50_pred",
        high=step * 1e-9,
        level=Level.WARNING,
        repair=Repair.CLAMP,
        message="So quick is nobody: every answer is warned of.",
    )
    tail = document.safety.families["tail"]
    tail = tail.model_copy(update={"ranges": (*tail.ranges, bound)})
    safety = {"families": document.safety.families | {"tail": tail}}
    served = document_with(document, alias=(CHAMPION, CHALLENGER)[step % 2])
    return served.model_copy(
        update={
            "features": features,
            "safety": document.safety.model_copy(update=safety),
            "bandits": BanditsConfig(canary_cap=0.01 + step * 1e-5),
        }
    )


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


@pytest.fixture
def challenger(home: Path, tail_model: TailModel) -> None:
    """Register a second model beside the champion."""
    folder = home / "models" / folder_name(TailModel.name) / NUMBERS[CHALLENGER]
    tail_model.save(folder)
    version = ModelVersion(TailModel.name, NUMBERS[CHALLENGER], folder, NOW)
    write_pointer(home / "models", CHALLENGER, version)


async def under_load(
    house: House, switches: int, seed: int
) -> tuple[dict[int, ConfigDocument], Load]:
    """Switch again and again while requests are under way; give the versions by number."""
    store, load = ConfigStore(house.redis), Load(house)
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
            number = await store.publish(document, "ada", "a change", NOW)
            documents[number] = document
            await store.activate(number)
            await until(_is_at(house.context.replica.config, number))
            house.context.lanes.by_family["tail"].limits = LaneLimits(4, 2, 1024, slice_rows=3)
            notices.send(Version(number, document.config_hash, "ada", "a change", NOW, document))
            await load.one_more()
        load.end()
    return documents, load


def _is_at(config: Any, number: int) -> Callable[[], bool]:
    return lambda: config.value.number == number


def mixed(row: Row, document: ConfigDocument) -> list[str]:
    """Name what of a row is not of this version."""
    found: list[str] = []
    if row["family"] == "bandit":
        share = row["answer"]["data"]["canary_percentage"]
        cap = document.bandits.canary_cap
        return found if share == pytest.approx(100 * cap, rel=1e-6) else [*found, "experiments"]
    if row["features"]["baseline_rate"] != document.features.defaults["baseline_rate"]:
        found.append("features")
    if row["model_version"] != NUMBERS[document.serving.tail.alias]:
        found.append("model")
    bounds = [
        violation["bound"]
        for violation in row["answer"]["safety"]["violations"]
        if violation["field"] == "p50_pred"
    ]
    highs = [
        limit.high
        for limit in document.safety.families["tail"].ranges
        if limit.level is Level.WARNING and limit.field == "p50_pred"
    ]
    return found if bounds == highs else [*found, "policy"]


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
