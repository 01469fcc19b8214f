"""A model whose rollout was cut short comes again; one that was left, or judged, does not."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store import alias_follower, taken_up
from config_store.alias_follower import AUTHOR
from config_store.releases import policy_hash
from config_store.steering.commands import (
    Abort,
    AddFreeze,
    Command,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    Expire,
    Judge,
    RemoveFreeze,
    RollBack,
    SetSettings,
    Validated,
)
from config_store.steering.drafts import undeployed
from config_store.steering.settings import MovedAliases, RolloutSettings, SteeringSettings
from config_store.steering.state import (
    Rollout,
    Stage,
    SteeringState,
    Strategy,
    Verdict,
    VersionLife,
)
from config_store.steering.store import SteeringStore
from tests.config_store.steering.people import ADA, CY
from tests.config_store.test_alias_follower import Platform
from tests.config_store.test_pinning import TAIL, crown

CANARY = SteeringSettings(
    aliases=MovedAliases(strategy="canary"), rollout=RolloutSettings(lead_seconds=0.0)
)


@pytest.fixture
async def platform(redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Give a platform in which model 1.0.0 was left for 1.1.0, and 1.2.0 is about to be named."""
    monkeypatch.setattr(taken_up, "PAUSE_SECONDS", 0.0)
    platform = Platform(redis, tmp_path)
    crown(tmp_path, "1.0.0")
    await platform.start()
    crown(tmp_path, "1.1.0")
    state = await platform.goes_on((await platform.look()).rollout)
    assert (state.active, state.warm) == (3, (2, 1))
    return platform


async def begun(platform: Platform) -> Rollout:
    """Have the alias name another model, which is on its way then."""
    crown(platform.models, "1.2.0")
    rollout = (await platform.look()).rollout
    assert rollout is not None
    assert (rollout.candidate, rollout.by) == (4, AUTHOR)
    return rollout


async def ended(platform: Platform, *commands: Command) -> SteeringState:
    for command in commands:
        state = await platform.command(command)
    assert state.rollout is None
    assert state.versions[4].stage is Stage.ROLLED_BACK
    return await platform.look()


@pytest.mark.parametrize(
    ("commands", "active"),
    [
        ((RollBack("the limits of version 3", 2),), 2),
        ((RollBack("the last change was wrong"),), 3),
        ((EmergencyOn("answers make no sense"), EmergencyOff("they do again")), 3),
    ],
)
async def test_what_was_ended_for_something_else_is_tried_again(
    platform: Platform, commands: tuple[Command, ...], active: int
) -> None:
    await begun(platform)
    state = await ended(platform, *commands)
    assert state.rollout is not None
    assert (state.rollout.candidate, state.rollout.incumbent) == (5, active)
    state = await platform.goes_on(state.rollout)
    assert (state.active, await platform.pins()) == (5, {TAIL: "1.2.0"})
    # That it came into force, and was left, is the last word.
    await platform.command(RollBack("1.2.0 is worse"))
    state = await platform.look()
    assert (state.active, state.rollout, max(state.versions)) == (active, None, 5)


@pytest.mark.parametrize(
    "command",
    [
        Abort("", "not this model"),
        Judge("", 0, Verdict.BAD, "p99"),
        RollBack("stay at version 3", 3),
    ],
)
async def test_what_was_judged_or_named_is_not(platform: Platform, command: Command) -> None:
    rollout = await begun(platform)
    match command:
        case Abort(reason=reason):
            command = Abort(rollout.id, reason)
        case Judge(verdict=verdict, note=note):
            command = Judge(rollout.id, rollout.step, verdict, note)
    state = await ended(platform, command)
    assert (state.active, state.rollout, max(state.versions)) == (3, None, 4)


async def test_a_rollback_leaves_a_model_that_clients_saw(platform: Platform) -> None:
    await platform.command(SetSettings(CANARY))
    rollout = await begun(platform)
    assert rollout.share_at(time.time() + 1) > 0
    state = await ended(platform, RollBack("the last change was wrong"))
    assert (state.active, state.rollout, max(state.versions)) == (3, None, 4)


async def test_what_had_no_verdict_in_its_time_is_tried_three_times_and_that_is_said(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alias_follower, "LOADED_WITHIN_SECONDS", 0.02)
    crown(platform.models, "1.2.0")
    for number in (4, 5, 6):
        state = await platform.look()
        assert state.rollout is not None
        assert state.rollout.candidate == number
        while state.rollout is not None:
            await asyncio.sleep(0.005)
            state = await platform.command(Expire())
    for _ in range(2):
        state = await platform.look()
        assert (state.active, state.rollout, max(state.versions)) == (3, None, 6)
    assert caplog.text.count("come into force by the versions 4, 5, 6, and each") == 1
    # Another model is another matter.
    crown(platform.models, "1.3.0")
    rollout = (await platform.look()).rollout
    assert rollout is not None
    assert rollout.candidate == 7


async def test_people_have_a_while_before_it_comes_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken_up, "PAUSE_SECONDS", 1000.0)
    await begun(platform)
    state = await ended(platform, RollBack("the limits of version 3", 2))
    assert (state.rollout, max(state.versions)) == (None, 4)
    monkeypatch.setattr(taken_up, "PAUSE_SECONDS", 0.0)
    assert (await platform.look()).rollout is not None


async def test_a_refusal_that_stays_is_said_once_and_drafts_nothing(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    document = (await platform.configs.active()).document
    life = await platform.steering.draft(document, "checked elsewhere", ADA, time.time())
    checked = Validated(
        life.number, life.content_hash, policy="another", against=policy_hash(document)
    )
    deploy = Deploy(life.number, Strategy.BLUE_GREEN, "elsewhere", 3)
    await platform.steering.change([checked, deploy], CY, time.time())
    crown(platform.models, "1.2.0")
    for _ in range(3):
        state = await platform.look()
        assert (state.active, max(state.versions)) == (life.number, life.number)
    assert caplog.text.count("was not compared with the one that is in force by now") == 1


async def test_where_somebody_is_quicker_the_draft_is_withdrawn_and_made_anew_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = SteeringStore.draft

    async def then_frozen(store: SteeringStore, *asked: Any) -> VersionLife:
        life = await draft(store, *asked)
        now = time.time()
        await store.change(AddFreeze("f", "the close", now - 1, now + 1000), CY, now)
        return life

    crown(platform.models, "1.2.0")
    with monkeypatch.context() as patch:
        patch.setattr(SteeringStore, "draft", then_frozen)
        state = await platform.look()
    assert (undeployed(state), state.versions[4].stage) == ([], Stage.WITHDRAWN)
    await platform.command(RemoveFreeze("f"))
    rollout = (await platform.look()).rollout
    assert rollout is not None
    assert rollout.candidate == 5
