"""What a command changes goes through steering: with its life, its approvals, its pins."""

import asyncio
import time

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from config_store.alias_follower import BY as MOVED
from config_store.alias_follower import AliasFollower, settled
from config_store.releases import policy_hash
from config_store.steering.commands import (
    AddFreeze,
    Advance,
    Approve,
    Command,
    Deploy,
    SetSettings,
    Validate,
    Validated,
)
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from launch import document_change
from launch.bootstrap import prepare_redis
from launch.cli import app
from launch.document_change import AUTHOR
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from tests.config_store.steering.people import BO, CY
from tests.config_store.test_pinning import TAIL, crown
from tests.waiting import until


async def invoke(*words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(words)))


async def carried(redis: Redis, command: Command) -> SteeringState:
    by = BO if isinstance(command, Approve) else CY
    return (await SteeringStore(redis).change(command, by, time.time())).state


@pytest.fixture
async def prepared(settings: Settings) -> Settings:
    settings.paths.models.mkdir(parents=True)
    crown(settings.paths.models, "1.0.0")
    await prepare_redis(settings)
    return settings


@pytest.mark.usefixtures("prepared")
async def test_connecting_and_removing_are_versions_like_any_others(redis: Redis) -> None:
    done = await invoke("connect", "push", "desk", "--yes")
    assert "desk is connected: configuration version 2 is active." in done.output
    removed = await invoke("sources", "remove", "desk")
    assert removed.output.startswith("desk is removed: configuration version 3 is active. What")
    state = await SteeringStore(redis).read()
    assert {n: life.stage for n, life in state.versions.items()} == {
        1: Stage.DEPRECATED,
        2: Stage.DEPRECATED,
        3: Stage.ACTIVE,
    }
    assert (state.versions[3].author, state.versions[3].parent) == (AUTHOR, 2)
    assert state.warm == (2, 1)
    noted = [read_event(each.data).kind for each in await TimelineStream(redis).read(100)]
    assert "config_adopted" not in noted
    assert noted.count("config_activated") == 3


async def test_what_is_pinned_stays_when_a_source_is_connected(
    prepared: Settings, redis: Redis
) -> None:
    models = prepared.paths.models
    await AliasFollower(redis, models, time.time).step()
    crown(models, "1.1.0")
    await invoke("connect", "push", "desk", "--yes")
    document = (await ConfigStore(redis).active()).document
    assert document.models is not None
    assert document.models[TAIL].version == "1.0.0"
    assert "desk" in document.sources.named


async def test_a_model_that_is_quicker_is_waited_for_and_the_change_made_on_top(
    prepared: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await AliasFollower(redis, prepared.paths.models, time.time).step()
    crown(prepared.paths.models, "1.1.0")
    document = (await ConfigStore(redis).active()).document
    policy, looks = policy_hash(document), 0

    async def follower_is_quicker(steering: SteeringStore) -> SteeringState:
        """Look as the command does; just after its first look a model's version is on its way."""
        nonlocal looks
        looks += 1
        found = await settled(steering)
        if looks == 1:
            life = await steering.draft(document, "moved", MOVED, time.time(), found.active)
            checked = Validated(life.number, life.content_hash, policy=policy, against=policy)
            settings = found.settings.rollout.model_copy(update={"lead_seconds": 0.0})
            way = Deploy(
                life.number, Strategy.BLUE_GREEN, "m", found.active, "", (0.0,), settings=settings
            )
            await steering.change([Validate(life.number), checked, way], MOVED, time.time())
        return found

    monkeypatch.setattr(document_change, "settled", follower_is_quicker)
    asked = asyncio.create_task(invoke("connect", "push", "desk", "--yes"))
    await until(lambda: looks == 2)
    assert not asked.done()
    await SteeringStore(redis).change(Advance("m", 0), MOVED, time.time())
    assert "desk is connected: configuration version" in (await asked).output
    state = await SteeringStore(redis).read()
    assert "desk" in (await ConfigStore(redis).active()).document.sources.named
    assert [state.versions[number].stage for number in sorted(state.versions)][-3:] == [
        Stage.DEPRECATED,  # the model's
        Stage.WITHDRAWN,
        Stage.ACTIVE,
    ]


@pytest.mark.usefixtures("prepared")
async def test_where_approvals_are_needed_it_waits_for_one(redis: Redis) -> None:
    await carried(redis, SetSettings(SteeringSettings(approvals_needed=1)))
    done = await invoke("connect", "push", "desk", "--yes")
    assert done.exit_code == 0, done.output
    assert (
        "desk is connected in configuration version 2, which is not in force yet: it needs 1 "
        "approval, `ballast config approve 2`, and then `ballast config deploy 2`."
    ) in done.output
    state = await SteeringStore(redis).read()
    assert (state.active, state.versions[2].stage) == (1, Stage.VALIDATING)
    await carried(redis, Approve(2, state.versions[2].content_hash))
    state = await carried(redis, Deploy(2, Strategy.BLUE_GREEN, "by hand", 1))
    assert state.active == 2


@pytest.mark.usefixtures("prepared")
async def test_in_a_freeze_it_is_made_and_waits(redis: Redis) -> None:
    now = time.time()
    await carried(redis, AddFreeze("close", "the close", now - 1, now + 1000))
    done = await invoke("connect", "push", "desk", "--yes")
    assert "not in force yet: The freeze close by cy holds (the close)" in done.output
    assert "`ballast config deploy 2`" in done.output
    assert (await SteeringStore(redis).read()).active == 1


@pytest.mark.usefixtures("prepared")
async def test_what_would_fail_in_service_makes_no_version(
    redis: Redis, settings: Settings
) -> None:
    await AliasFollower(redis, settings.paths.models, time.time).step()
    (weights,) = settings.paths.models.glob("*/1.0.0/weights")
    weights.write_text("others")
    done = await invoke("connect", "push", "desk", "--yes")
    assert done.exit_code == 1
    assert f"models.{TAIL}: the files of {TAIL} 1.0.0 differ" in done.output
    assert max((await SteeringStore(redis).read()).versions) == 2
