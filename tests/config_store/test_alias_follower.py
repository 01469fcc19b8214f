"""Aliases that move become versions, and nothing is brought into force twice."""

import asyncio
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from config_store.alias_follower import AUTHOR, LOADED_WITHIN_SECONDS, AliasFollower, settled
from config_store.document import PinnedModel
from config_store.pinning import pinned
from config_store.shipped import default_document
from config_store.steering.commands import (
    Abort,
    AddFreeze,
    Advance,
    Command,
    Expire,
    RemoveFreeze,
    RollBack,
    SetSettings,
    Withdraw,
)
from config_store.steering.drafts import undeployed
from config_store.steering.settings import MovedAliases, SteeringSettings
from config_store.steering.state import Rollout, Stage, SteeringState, Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.transitions import apply
from config_store.store import ConfigStore
from tests.config_store.steering.people import ADA, CY
from tests.config_store.test_pinning import ENSEMBLE, NOW, TAIL, crown
from tests.deploying import deployed


class Platform:
    """The follower of a platform that answers, or of one that is about to start."""

    def __init__(self, redis: Redis, models: Path) -> None:
        self.redis = redis
        self.models = models
        self.configs = ConfigStore(redis)
        self.steering = SteeringStore(redis)
        self.answers = True
        self.follower = AliasFollower(redis, models, time.time, self._answers)

    async def _answers(self) -> bool:
        return self.answers

    async def start(self) -> None:
        """Do what a start does before the first replica begins."""
        document = default_document()
        await self.configs.bootstrap(document, "ballast up", "a fresh machine", NOW)
        await AliasFollower(self.redis, self.models, time.time).step()

    async def look(self) -> SteeringState:
        await self.follower.step()
        return await self.steering.read()

    async def command(self, command: Command) -> SteeringState:
        return (await self.steering.change(command, CY, time.time())).state

    async def goes_on(self, rollout: Rollout | None) -> SteeringState:
        assert rollout is not None
        return await self.command(Advance(rollout.id, rollout.step))

    async def pins(self) -> dict[str, str]:
        models = (await self.configs.active()).document.models
        assert models is not None
        return {name: pin.version for name, pin in models.items()}


@pytest.fixture
async def platform(redis: Redis, tmp_path: Path) -> Platform:
    return Platform(redis, tmp_path)


async def test_a_start_pins_what_is_trained_or_that_nothing_is(platform: Platform) -> None:
    await platform.start()
    assert await platform.pins() == {}
    state = await platform.look()
    assert (state.active, state.rollout) == (2, None)
    crown(platform.models, "1.0.0")
    await platform.start()
    assert await platform.pins() == {TAIL: "1.0.0"}
    await platform.start()
    state = await platform.look()
    assert (state.active, max(state.versions), state.rollout) == (3, 3, None)
    assert state.versions[3].author == AUTHOR


async def test_an_alias_that_moves_is_rolled_out_and_taken_up_once(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    crown(platform.models, "1.1.0")
    state = await platform.look()
    assert state.active == 2
    assert await platform.pins() == {TAIL: "1.0.0"}
    rollout = state.rollout
    assert rollout is not None
    assert (rollout.candidate, rollout.shares, rollout.by) == (3, (0.0,), AUTHOR)
    assert await platform.look() == state
    state = await platform.goes_on(rollout)
    assert (state.active, await platform.pins()) == (3, {TAIL: "1.1.0"})
    assert (await platform.look()).rollout is None

    await platform.command(RollBack("it was worse"))
    state = await platform.look()
    assert (state.active, state.rollout, max(state.versions)) == (2, None, 3)
    await platform.start()  # nor does a start undo a rollback
    assert await platform.pins() == {TAIL: "1.0.0"}
    crown(platform.models, "1.2.0")
    await platform.goes_on((await platform.look()).rollout)
    assert await platform.pins() == {TAIL: "1.2.0"}


async def test_what_was_given_up_is_not_tried_again(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    crown(platform.models, "1.1.0")
    rollout = (await platform.look()).rollout
    assert rollout is not None
    await platform.command(Abort(rollout.id, "a replica cannot load it"))
    state = await platform.look()
    assert (state.active, state.rollout, max(state.versions)) == (2, None, 3)


async def test_a_freeze_on_the_way_holds_it_and_ends_nothing(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    crown(platform.models, "1.1.0")
    rollout = (await platform.look()).rollout
    assert rollout is not None
    begins, ends = rollout.step_begun, rollout.step_deadline + 3600
    state = await platform.command(AddFreeze("f", "expiry day", begins, ends))
    # Whichever clock looks: it is aborted neither in the freeze nor as it ends.
    held = apply(state, Expire(), CY, begins + 1).state
    assert held.rollout is not None
    assert held.rollout.step_deadline == ends + LOADED_WITHIN_SECONDS
    assert apply(state, Expire(), CY, ends + 1).state.rollout is not None
    # Without one it is given up when it should have been loaded.
    free = (await platform.command(RemoveFreeze("f"))).rollout
    assert free is not None
    assert free.step_deadline - free.step_begun == LOADED_WITHIN_SECONDS


async def test_several_that_moved_meanwhile_are_one_version(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    crown(platform.models, "1.1.0")
    crown(platform.models, "1.0.0", ENSEMBLE)
    state = await platform.goes_on((await platform.look()).rollout)
    assert await platform.pins() == {TAIL: "1.1.0", ENSEMBLE: "1.0.0"}
    assert state.versions[3].message == f"moved: {ENSEMBLE} 1.0.0, {TAIL} 1.1.0"


async def test_by_a_strategy_that_was_stated_but_for_a_first_model(platform: Platform) -> None:
    await platform.start()
    moved = MovedAliases(strategy="canary")
    await platform.command(SetSettings(SteeringSettings(aliases=moved)))
    crown(platform.models, "1.0.0")
    first = (await platform.look()).rollout
    assert first is not None
    assert first.strategy is Strategy.BLUE_GREEN
    await platform.goes_on(first)
    crown(platform.models, "1.1.0")
    await platform.start()
    assert await platform.pins() == {TAIL: "1.0.0"}  # nothing is compared before something answers
    second = (await platform.look()).rollout
    assert second is not None
    assert (second.strategy, second.settings.evidence) == (Strategy.CANARY, True)
    assert second.shares[0] == 0.01


@pytest.mark.parametrize(
    ("settings", "stage"),
    [
        (SteeringSettings(approvals_needed=1), Stage.VALIDATING),
        (SteeringSettings(aliases=MovedAliases(deploy=False)), Stage.APPROVED),
    ],
)
async def test_where_people_have_a_say_the_version_waits_for_them(
    platform: Platform, settings: SteeringSettings, stage: Stage
) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    await platform.command(SetSettings(settings))
    crown(platform.models, "1.1.0")
    for _ in range(2):
        state = await platform.look()
        assert (state.active, state.rollout, max(state.versions)) == (2, None, 3)
        assert state.versions[3].stage is stage


async def test_of_those_that_wait_for_people_the_oldest_makes_room(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    await platform.command(SetSettings(SteeringSettings(approvals_needed=1, drafts_per_author=2)))
    for minor in (1, 2, 3):
        crown(platform.models, f"1.{minor}.0")
        state = await platform.look()
    assert undeployed(state) == [4, 5]
    assert state.versions[3].stage is Stage.WITHDRAWN


async def test_where_there_is_no_room_it_waits_and_says_so_once(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    await platform.command(SetSettings(SteeringSettings(approvals_needed=1, drafts_at_most=1)))
    document = (await platform.configs.active()).document
    life = await platform.steering.draft(document, "a try", ADA, time.time())
    crown(platform.models, "1.1.0")
    for _ in range(2):
        assert undeployed(await platform.look()) == [life.number]
    assert caplog.text.count("No version is made (moved: ") == 1
    await platform.command(Withdraw(life.number))
    assert undeployed(await platform.look()) == [life.number + 1]


async def test_in_a_freeze_and_where_nobody_answers_it_waits(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    now = time.time()
    await platform.command(AddFreeze("f", "the close", now - 1, now + 1000))
    crown(platform.models, "1.1.0")
    assert max((await platform.look()).versions) == 2
    await platform.command(RemoveFreeze("f"))
    platform.answers = False
    assert max((await platform.look()).versions) == 2
    platform.answers = True
    assert (await platform.look()).rollout is not None


async def test_files_that_are_not_the_aliass_are_not_rolled_out(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    weights = crown(platform.models, "1.1.0").path / "weights"
    before = weights.read_text()
    weights.write_text("half")
    assert max((await platform.look()).versions) == 2
    weights.write_text(before)
    assert (await platform.look()).rollout is not None


async def test_a_rollback_to_a_version_that_pins_nothing_stays(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    await platform.command(RollBack("all of it"))
    crown(platform.models, "1.1.0")
    state = await platform.look()
    assert (state.active, state.rollout, max(state.versions)) == (1, None, 2)


async def test_a_persons_change_waits_for_a_model_and_not_for_a_canary(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    await platform.start()
    crown(platform.models, "1.1.0")
    rollout = (await platform.look()).rollout
    waiting = asyncio.create_task(settled(platform.steering, 30.0))
    assert (await settled(platform.steering, 0.05)).rollout == rollout
    await platform.goes_on(rollout)
    assert (await waiting).active == 3
    await platform.command(SetSettings(SteeringSettings(aliases=MovedAliases(strategy="canary"))))
    crown(platform.models, "1.2.0")
    canary = (await platform.look()).rollout
    assert canary is not None
    assert (await settled(platform.steering, 0.0)).rollout == canary


async def test_what_was_pinned_by_hand_stays(platform: Platform) -> None:
    crown(platform.models, "1.0.0")
    crown(platform.models, "1.1.0")
    await platform.start()
    document = (await platform.configs.active()).document
    by_number = document.model_copy(update={"models": {TAIL: PinnedModel(version="1.0.0")}})
    older = pinned(by_number, platform.models)
    number = await deployed(platform.redis, older)
    state = await platform.look()
    assert (state.active, state.rollout) == (number, None)
    assert await platform.pins() == {TAIL: "1.0.0"}
