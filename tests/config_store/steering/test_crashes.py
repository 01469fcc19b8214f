"""Redis, or who asks it, ends between any two steps: the state is legal and says what to do."""

from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.errors import (
    ConfigError,
)
from config_store.steering.commands import (
    Advance,
    Approve,
    Deploy,
    EmergencyOff,
    Judge,
    RollBack,
    SetSettings,
    Validated,
)
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Strategy, Verdict
from config_store.steering.status import describe, problems
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from tests.config_store.steering.people import ADA, BO, CY, NOW
from tests.config_store.steering.stores import document, founded
from tests.redis_server import RedisServer


class Cut:
    """Ends a client's connection at a chosen command, before it is sent or after it is done."""

    def __init__(self, redis: Redis, at: int, *, after: bool) -> None:
        self._execute: Any = redis.execute_command
        self._left, self._after = at, after
        redis.execute_command = self._cut  # type: ignore[method-assign] # what this is for

    async def _cut(self, *args: object, **options: object) -> object:
        self._left -= 1
        if self._left != 0:
            return await self._execute(*args, **options)
        if self._after:
            await self._execute(*args, **options)
        raise RedisConnectionError("cut off")


Step = Callable[[SteeringStore], Awaitable[object]]
GOOD = [Judge("r", step, Verdict.GOOD) for step in range(3)]
SHARES = (0.1, 0.5, 1.0)


def later(step: int) -> float:
    return NOW + 10 * (step + 1)


async def _draft(store: SteeringStore) -> object:
    return await store.draft(document(2), "m", ADA, NOW)


async def _validate(store: SteeringStore) -> object:
    life = (await store.read()).versions[2]
    return await store.change(Validated(2, life.content_hash), ADA, NOW)


async def _approve(store: SteeringStore) -> object:
    life = (await store.read()).versions[2]
    return await store.change(Approve(2, life.content_hash), BO, NOW)


def _advance(step: int) -> Step:
    async def advance(store: SteeringStore) -> object:
        return await store.change((GOOD[step], Advance("r", step)), ADA, later(step))

    return advance


DEPLOY: list[Step] = [
    lambda store: store.change(SetSettings(SteeringSettings(approvals_needed=1)), CY, NOW),
    _draft,
    _validate,
    _approve,
    lambda store: store.change(Deploy(2, Strategy.CANARY, "r", 1, shares=SHARES), ADA, NOW),
    *(_advance(step) for step in range(3)),
    lambda store: store.change(RollBack("slow", after=2), ADA, later(3)),
    lambda store: store.change(EmergencyOff("well"), CY, later(4)),
]


async def test_redis_killed_between_any_two_steps_leaves_a_legal_state(
    redis: Redis, redis_server: RedisServer
) -> None:
    store, revisions = await founded(redis), []
    for step in DEPLOY:
        before = describe(await store.read(), NOW)
        redis_server.kill()
        with pytest.raises((RedisConnectionError, OSError)):
            await step(store)
        redis_server.start()
        state = await store.read()
        assert problems(state) == ()
        assert describe(state, NOW) == before
        assert (await ConfigStore(redis).active()).number == state.active
        await step(store)
        revisions.append((await store.read()).revision)
    assert all(earlier < later for earlier, later in pairwise(revisions))
    assert (await store.read()).active == 1


@pytest.mark.parametrize("after", [False, True], ids=["unsent", "unanswered"])
async def test_a_crash_within_any_step_leaves_it_made_or_not(
    redis: Redis, redis_server: RedisServer, *, after: bool
) -> None:
    for crash_at, step in enumerate(DEPLOY):
        await redis.flushall()
        store = await founded(redis)
        await store.found(CY, NOW)  # so that Redis knows both scripts
        for earlier in DEPLOY[:crash_at]:
            await earlier(store)
        before = await store.read()
        await crash(redis_server, step, after=after)
        state = await store.read()
        assert problems(state) == ()
        assert (state != before) == after
        assert (await ConfigStore(redis).active()).number == state.active
        try:
            await step(store)  # tried again: made, or refused because it was made
        except ConfigError:
            assert after
        assert problems(await store.read()) == ()


async def crash(server: RedisServer, step: Step, *, after: bool) -> None:
    """Make a step whose last command, the writing one, is cut off."""
    client = server.patient_client()
    Cut(client, 3 if step in {_validate, _approve} else 2, after=after)
    try:
        with pytest.raises(RedisConnectionError):
            await step(SteeringStore(client))
    finally:
        await client.aclose()


async def test_the_notice_of_a_crash_is_in_the_same_step(redis: Redis) -> None:
    store = await founded(redis)
    for step in DEPLOY:
        await step(store)
    messages = await TimelineStream(redis).read(1000)
    told = [read_event(each.data) for each in messages]
    switches = [each.details["version"] for each in told if each.kind == "config_activated"]
    assert switches == [1, 2, 1]
