"""A version answers by the models that it pins: when an alias moves, in a canary, after a rollback.

The real stages, follower and judge; models that give different answers.
"""

import asyncio
import re
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config_store.alias_follower import AliasFollower
from config_store.pinning import pinned
from config_store.running import RunningVersions
from config_store.steering.commands import RollBack
from config_store.steering.rollouts.shares import place
from config_store.steering.state import Strategy
from config_store.store import ConfigStore
from models.digest import digest_of
from models.errors import UnknownModelError
from models.model_version import ModelVersion, folder_name
from models.pointer import keep_record, write_pointer
from models.registry import CHAMPION
from models.tail.xgboost_quantile import TailModel
from tests.deployments.gateway.rollouts import Operator, judged_until, judging, noted
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import NOW, House
from tests.waiting import until

KEYS = [f"service-{number}" for number in range(20)]
STATED = {"load": 0.6, "infra": 0.4, "error_rate": 0.002, "request_rate": 900.0}


async def somebody() -> bool:
    return True


def crowned(models: Path, model: TailModel, version: str) -> str:
    """Make a version champion, as the registry does; give the digest of its files."""
    folder = models / folder_name(TailModel.name) / version
    model.save(folder)
    made = ModelVersion(TailModel.name, version, folder, NOW, digest=digest_of(folder))
    keep_record(models, made)
    write_pointer(models, CHAMPION, made)
    return made.digest


@pytest.fixture
def wider(tail_model: TailModel) -> TailModel:
    """Give a model whose intervals are wider than the champion's."""
    meta = replace(tail_model.meta, offset=tail_model.meta.offset + 0.05, offsets={})
    return TailModel(tail_model._booster, meta)


async def answers(house: House) -> list[Any]:
    """Give the numbers of some answers, and the model that they are of."""
    found = await house.ask(*({"entity": key, **STATED} for key in KEYS))
    assert not any(each["safety"]["fallback"] for each in found)
    return [(each["data"], each["interval"], each["meta"]["model_version"]) for each in found]


async def look_for_champions(house: House) -> None:
    """Do what every tail replica does once a second."""
    for replica in house.replicas["tail"]:
        await replica._follow()


async def test_a_moved_alias_changes_no_answer_and_a_rollback_brings_them_back_to_the_bit(
    house: House, wider: TailModel
) -> None:
    models = house.context.settings.paths.models
    first = await house.deploy(pinned(house.document, models))
    before = await answers(house)
    digest = crowned(models, wider, "1.1.0")
    follower = AliasFollower(house.redis, models, time.time, somebody)

    await look_for_champions(house)
    assert await answers(house) == before
    await follower.step()
    assert await answers(house) == before  # none of the keys, until every replica has it
    await judged_until(house, first + 1)
    after = await answers(house)
    assert {each[2] for each in before} == {"1.0.0"}
    assert {each[2] for each in after} == {"1.1.0"}
    assert all(one != other for one, other in zip(before, after, strict=True))

    # What remembers models is gone: the registry, its pointers, and the files.
    shutil.rmtree(models)
    await Operator(house).command(RollBack("it was worse", after=first + 1))
    with suppress(UnknownModelError):  # the first version pins nothing, and misses its alias
        await look_for_champions(house)
    assert await answers(house) == before
    await follower.step()
    assert house.answering() == first
    assert await answers(house) == before

    rows = [each for each in await house.ledger() if each["family"] == "tail"]
    used = {(each["stages"]["model"]["version"], each["model_version"]) for each in rows}
    assert used == {(first, "1.0.0"), (first + 1, "1.1.0")}
    later = (await ConfigStore(house.redis).get(first + 1)).document.models
    assert later is not None
    assert later[TailModel.name].digest == digest
    assert {each["stages"]["model"].get("digest") for each in rows} >= {digest}


async def test_a_replica_that_starts_later_answers_by_the_pin(
    house: House, wider: TailModel
) -> None:
    models = house.context.settings.paths.models
    await house.deploy(pinned(house.document, models))
    crowned(models, wider, "1.1.0")
    late = await house.start("tail")
    loaded = late._champions.loaded(late.versions.active.compiled)
    assert loaded is not None
    assert loaded.version.version == "1.0.0"


async def test_a_replica_that_starts_later_has_the_models_of_warm_versions_in_memory(
    house: House, wider: TailModel
) -> None:
    models = house.context.settings.paths.models
    first = await house.deploy(pinned(house.document, models))
    before = await answers(house)
    crowned(models, wider, "1.1.0")
    second = await house.deploy(pinned(house.document, models))
    late = await house.start("tail")
    state = await Operator(house).store.read()
    assert (state.active, state.warm[0]) == (second, first)
    await late._follow()
    old = late.versions.held(first, state.versions[first].content_hash)
    assert old is not None
    await until(lambda: late._champions.loaded(old.compiled) is not None)
    shutil.rmtree(models)
    await Operator(house).command(RollBack("it was worse", after=second))
    assert await answers(house) == before


async def test_in_a_canary_each_key_has_the_model_of_its_version(
    house: House, wider: TailModel
) -> None:
    models, operator = house.context.settings.paths.models, Operator(house)
    await house.deploy(pinned(house.document, models))
    crowned(models, wider, "1.1.0")
    candidate = await operator.draft(pinned(house.document, models))
    await operator.deploy(candidate, "half", shares=(0.5, 1.0))
    found = await house.ask(*({"entity": key, **STATED} for key in KEYS))
    for key, each in zip(KEYS, found, strict=True):
        of_candidate = place("half", key) < 0.5
        assert (each["meta"]["config_version"] == candidate) is of_candidate
        assert each["meta"]["model_version"] == ("1.1.0" if of_candidate else "1.0.0")


async def test_a_version_whose_pin_cannot_be_loaded_never_comes_into_force(
    house: House, wider: TailModel
) -> None:
    models, operator = house.context.settings.paths.models, Operator(house)
    active = await house.deploy(pinned(house.document, models))
    crowned(models, wider, "1.1.0")
    candidate = await operator.draft(pinned(house.document, models))
    shutil.rmtree(models / folder_name(TailModel.name) / "1.1.0")
    await AliasFollower(house.redis, models, time.time, somebody).step()
    assert (await operator.store.read()).rollout is None  # nor does the follower deploy it
    await operator.deploy(candidate, "broken", shares=(0.5, 1.0))
    (replica,) = house.replicas["tail"]
    live = await replica.versions.get(
        candidate, (await operator.store.life(candidate)).content_hash, None
    )
    with pytest.raises(UnknownModelError, match="pin another version"):
        await replica.make_ready(live.compiled)
    by_key = await house.ask(*({"entity": key, **STATED} for key in KEYS))
    for key, each in zip(KEYS, by_key, strict=True):
        assert each["safety"]["fallback"] is (place("broken", key) < 0.5)
        if each["safety"]["fallback"]:
            assert "which the configuration pins" in each["meta"]["fallback_reason"]
    assert active == house.answering()


async def test_who_cannot_load_a_candidate_says_why_and_logs_it_once(
    house: House, wider: TailModel, caplog: pytest.LogCaptureFixture
) -> None:
    models, operator = house.context.settings.paths.models, Operator(house)
    (replica,) = house.replicas["tail"]
    await house.deploy(pinned(house.document, models))
    running = RunningVersions(house.redis)
    # One that has not reported yet is not known to be there, and nobody waits for it.
    while "tail" not in {each.role for each in await running.all()}:  # noqa: ASYNC110 - Redis tells nobody
        await asyncio.sleep(0.01)
    crowned(models, wider, "1.1.0")
    candidate = await operator.draft(pinned(house.document, models))
    shutil.rmtree(models / folder_name(TailModel.name) / "1.1.0")
    await operator.deploy(candidate, "broken", Strategy.BLUE_GREEN, shares=(0.0,))
    # Others may need a moment too, and are named before it.
    why = re.compile(r"not loaded yet by tail-.*which the configuration pins")
    async with judging(house):
        await until(lambda: why.match(noted(house)) is not None)
    for _ in range(3):  # its own loop does so too
        await replica.load_candidate()
    (logged,) = [each for each in caplog.messages if "cannot be loaded" in each]
    assert logged.startswith(f"Version {candidate} cannot be loaded")


async def test_what_nobody_foresaw_in_loading_a_candidate_is_told_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(_: object) -> None:
        raise MemoryError("no room for 3 GB")

    (replica,) = house.replicas["tail"]
    monkeypatch.setattr(replica, "make_ready", break_down)
    operator = Operator(house)
    document = at_step(house.document, 2)
    candidate = await operator.draft(document)
    await operator.deploy(candidate, "large", Strategy.BLUE_GREEN, shares=(0.0,))
    with pytest.raises(MemoryError):
        await replica.load_candidate()
    said = [
        each.why_not_loaded(document.config_hash)
        for each in await RunningVersions(house.redis).all()
    ]
    assert "no room for 3 GB" in said
