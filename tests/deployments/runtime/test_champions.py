import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config_store.document import PinnedModel
from config_store.shipped import default_document
from deployments.runtime.champions import Champions, NamedModel
from models.errors import UnknownModelError
from models.model_version import ModelVersion
from tests.waiting import until

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CHAMPION, CHALLENGER = NamedModel("tail/x", "champion"), NamedModel("tail/x", "challenger")


class Registry:
    """Where models lie: what each alias points at, and what was loaded."""

    def __init__(self) -> None:
        self.points = {CHAMPION: "1.0.0", CHALLENGER: "1.1.0"}
        self.loads: list[str] = []
        self.unknown: set[NamedModel] = set()
        self.gate = threading.Event()
        self.gate.set()

    def find(self, named: NamedModel) -> ModelVersion:
        if named in self.unknown:
            raise UnknownModelError(f"no {named.model} is trained")
        if named not in self.points:
            raise FileNotFoundError(f"no {named.alias} was ever registered")
        return ModelVersion(named.model, self.points[named], Path("somewhere"), NOW)

    def load(self, version: ModelVersion) -> str:
        self.gate.wait(30.0)
        self.loads.append(version.version)
        return f"model {version.version}"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def champions(registry: Registry) -> Champions[str]:
    return Champions(registry.find, registry.load)


async def test_each_alias_answers_by_its_own_model(
    registry: Registry, champions: Champions[str]
) -> None:
    for _ in range(2):
        found = [(await champions.get(named)).model for named in (CHAMPION, CHALLENGER)]
        assert found == ["model 1.0.0", "model 1.1.0"]
    assert registry.loads == ["1.0.0", "1.1.0"]


async def test_two_names_of_one_model_share_it(
    registry: Registry, champions: Champions[str]
) -> None:
    registry.points[CHALLENGER] = "1.0.0"
    first, second = [await champions.get(named) for named in (CHAMPION, CHALLENGER)]
    assert first is second
    assert registry.loads == ["1.0.0"]


async def test_a_model_is_loaded_ahead_and_those_who_come_meanwhile_wait_for_it(
    registry: Registry, champions: Champions[str]
) -> None:
    registry.gate.clear()
    champions.prefetch(CHAMPION)
    waiting = [asyncio.create_task(champions.get(CHAMPION)) for _ in range(3)]
    assert champions.loaded(CHAMPION) is None
    registry.gate.set()
    assert {found.model for found in await asyncio.gather(*waiting)} == {"model 1.0.0"}
    champions.prefetch(CHAMPION)
    assert registry.loads == ["1.0.0"]


async def test_a_new_champion_takes_over_and_the_old_one_answers_until_then(
    registry: Registry, champions: Champions[str]
) -> None:
    await champions.get(CHAMPION)
    registry.gate.clear()
    registry.points[CHAMPION] = "2.0.0"
    following = asyncio.create_task(champions.follow([CHAMPION], CHAMPION))
    await asyncio.sleep(0)
    assert (await champions.get(CHAMPION)).model == "model 1.0.0"
    registry.gate.set()
    await following
    assert (await champions.get(CHAMPION)).model == "model 2.0.0"
    await champions.follow([CHAMPION], CHAMPION)
    assert registry.loads == ["1.0.0", "2.0.0"]


async def test_what_no_version_names_any_more_is_let_go(
    registry: Registry, champions: Champions[str]
) -> None:
    for named in (CHAMPION, CHALLENGER):
        await champions.get(named)
    await champions.follow([CHALLENGER], CHALLENGER)
    assert champions.loaded(CHAMPION) is None
    assert champions.loaded(CHALLENGER) is not None
    assert registry.loads == ["1.0.0", "1.1.0"]


async def test_an_alias_without_a_model_keeps_none_of_the_others_back(
    registry: Registry, champions: Champions[str]
) -> None:
    nobody = NamedModel("tail/x", "nobody")
    champions.prefetch(nobody)
    await until(lambda: not champions._loads._running)
    for named in (CHAMPION, CHALLENGER):
        await champions.get(named)
    registry.points[CHAMPION] = "2.0.0"
    with pytest.raises(FileNotFoundError):
        await champions.follow([nobody, CHAMPION, CHALLENGER], nobody)
    assert (await champions.get(CHAMPION)).model == "model 2.0.0"
    assert champions.loaded(CHALLENGER) is not None
    # After a rollback the version that named it is alive for a while, and asked by nobody.
    await champions.follow([nobody, CHAMPION, CHALLENGER], CHAMPION)
    with pytest.raises(FileNotFoundError):
        await champions.get(nobody)
    registry.points[nobody] = "1.0.0"
    assert (await champions.get(nobody)).model == "model 1.0.0"


async def test_an_alias_that_names_nothing_yet_is_no_failure_and_is_picked_up(
    registry: Registry, champions: Champions[str]
) -> None:
    young = NamedModel("tail/young", "champion")
    registry.unknown.add(young)
    with pytest.raises(UnknownModelError):
        await champions.get(young)
    assert champions.absent(young) == "no tail/young is trained"
    await champions.follow([CHAMPION, young], CHAMPION)
    await champions.follow([young], young)
    assert champions.loaded(young) is None
    registry.unknown.clear()
    registry.points[young] = "1.0.0"
    await champions.follow([CHAMPION, young], CHAMPION)
    assert champions.loaded(young) is not None
    assert champions.absent(young) is None
    # One that answers is missed when its alias is taken away.
    registry.unknown.add(young)
    with pytest.raises(UnknownModelError):
        await champions.follow([young], young)
    assert champions.loaded(young) is not None


async def test_what_is_pinned_is_looked_up_once_and_never_again(
    registry: Registry, champions: Champions[str]
) -> None:
    pinned = NamedModel("tail/x", "champion", PinnedModel(version="1.0.0"), follows=False)
    registry.points[pinned] = "1.0.0"
    await champions.get(pinned)
    del registry.points[pinned]  # the registry and its files are gone
    await champions.follow([pinned], pinned)
    assert (await champions.get(pinned)).model == "model 1.0.0"
    assert registry.loads == ["1.0.0"]


async def test_versions_with_one_pin_share_a_model_and_it_goes_with_the_last(
    registry: Registry, champions: Champions[str]
) -> None:
    registry.points[CHAMPION] = "1.0.0"
    pinned = NamedModel("tail/x", "champion", PinnedModel(version="1.0.0"), follows=False)
    registry.points[pinned] = "1.0.0"
    assert await champions.get(CHAMPION) is await champions.get(pinned)
    await champions.follow([], CHAMPION)
    assert champions.loaded(pinned) is None
    assert registry.loads == ["1.0.0"]


def test_a_version_names_its_model_by_the_pin_that_it_has() -> None:
    document, pin = default_document(), PinnedModel(version="1.2.0", digest="d")
    assert NamedModel.of(document, "tail/x", "champion").follows
    pins = document.model_copy(update={"models": {"tail/x": pin}})
    found = NamedModel.of(pins, "tail/x", "champion")
    assert (found.pin, found.follows) == (pin, False)
    assert NamedModel.of(pins, "tail/y", "champion").pin is None
