"""Redis is killed between any two commands of a deploy's operations, and comes back with its file.

Each operation is asked for through the API, once whole, which shows what Redis holds after each of
its commands. Then it is asked for again and again from the same beginning, and Redis is killed
before its first command, its second, and so on, and once before its last answer. What is left is
held against the simulation's invariants, and `ballast config status` says where it stands.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.steering.commands import Actor, Deploy
from config_store.steering.state import Stage, SteeringState, Strategy
from config_store.steering.status import problems
from config_store.steering.store import SteeringStore
from launch.config.requests import steering
from launch.config.text import steering_lines
from settings.environment import Settings
from tests.config_store.simulation.invariants import check_state, is_tree, way_back
from tests.config_store.simulation.real_redis import contents_of
from tests.config_store.simulation.simulated_redis import Contents
from tests.config_store.simulation.steps import check_change
from tests.config_store.steering.people import ADA
from tests.deployments.gateway.config_api import AHEAD_SECONDS, ConfigApi, config_api
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

OLGA, ALBA, ADAM = "olga:operator", "alba:approver", "adam:admin"
SLO = {"serving": {"tail": {"slo_ms": 90}}}
# The next step begins 5 s after it was decided.
STEP_SECONDS = 10.0


class Operation(NamedTuple):
    """One thing that is asked of the API, and what `ballast config status` says after it."""

    name: str
    method: str
    path: str
    body: Any
    who: str
    says: tuple[str, ...]


SETTINGS = {"approvals_needed": 1, "rollout": {"evidence": False}}
FIRST_SAYS = ("state     settled", "Version 1 by ballast is active (the first). Warm are: none.")
OPERATIONS = (
    Operation(
        "draft",
        "POST",
        "/config/versions",
        {"message": "tighter", "patch": SLO},
        OLGA,
        ("state     settled", "Version 2 by olga (tighter) is not validated: validate it."),
    ),
    Operation(
        "validate",
        "POST",
        "/config/versions/2/validate",
        None,
        OLGA,
        (
            "state     settled",
            "Version 2 by olga (tighter) waits for 1 more approvals by others than its author.",
        ),
    ),
    Operation(
        "approve",
        "POST",
        "/config/versions/2/approve",
        {"config_hash": "of version 2"},
        ALBA,
        ("state     settled", "Version 2 by olga (tighter) is approved: deploy it."),
    ),
    Operation(
        "deploy",
        "POST",
        "/config/deploy",
        {"version": 2, "strategy": "canary", "shares": [0.5, 1.0], "id": "r"},
        OLGA,
        (
            "state     rollout",
            "The canary rollout r of version 2 is at step 1 of 2",
            "Advance it, or it is aborted in 6 h.",
        ),
    ),
    Operation(
        "advance",
        "POST",
        "/config/rollout/advance",
        {"id": "r", "step": 0},
        OLGA,
        (
            "state     rollout",
            "The canary rollout r of version 2 is at step 2 of 2",
            "Advance it, or it is aborted in 6 h.",
        ),
    ),
    Operation(
        "finish",
        "POST",
        "/config/rollout/advance",
        {"id": "r", "step": 1},
        OLGA,
        ("state     settled", "Version 2 by olga is active (tighter). Warm are: 1."),
    ),
    Operation(
        "roll back",
        "POST",
        "/config/rollback",
        {"reason": "slow", "after": 2},
        OLGA,
        ("state     settled", "Version 1 by ballast is active (the first). Warm are: 2."),
    ),
)
DEPLOY = (Deploy(2, Strategy.CANARY, "r", 1),)


@dataclass
class Seen:
    """What Redis held at some moment."""

    state: SteeringState
    contents: Contents
    text: str  # what `ballast config status` prints

    def says(self, *words: str) -> bool:
        return all(each in self.text for each in words)


@dataclass
class Recorded:
    """One operation as it ran whole: what was there before it, and after each of its commands."""

    operation: Operation
    clock: float
    keys: dict[bytes, bytes]
    seen: list[Seen] = field(default_factory=list)


class Steps:
    """Follows the commands that a request sends, and kills Redis at one of them.

    What the gateway's watch asks meanwhile is another task's.
    """

    def __init__(self, redis: Redis, server: RedisServer, patch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._execute: Any = redis.execute_command
        self.task: asyncio.Task[Any] | None = None
        self.asked = 0
        self.kill_before: int | None = None
        self.kill_after: int | None = None
        self.after_each: Any = None
        patch.setattr(redis, "execute_command", self._follow)

    def forget(self) -> None:
        self.asked, self.kill_before, self.kill_after, self.after_each = 0, None, None, None

    async def _follow(self, *args: Any, **options: Any) -> Any:
        if asyncio.current_task() is not self.task:
            return await self._execute(*args, **options)
        if self.asked == self.kill_before:
            self._server.kill()
        self.asked += 1
        answer = await self._outcome(*args, **options)
        if self.asked == self.kill_after:
            self._server.kill()
            raise RedisConnectionError("killed before it answered")
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _outcome(self, *args: Any, **options: Any) -> Any:
        """Give the answer, or what was raised: a script that is not loaded is a command too."""
        try:
            answer = await self._execute(*args, **options)
        except Exception as raised:  # noqa: BLE001 - it is raised again
            answer = raised
        if self.after_each is not None:
            await self.after_each()
        return answer


class Platform:
    """One gateway and its Redis, which is put back to where an operation began."""

    def __init__(
        self, api: ConfigApi, server: RedisServer, observer: Redis, steps: Steps, settings: Settings
    ) -> None:
        self._api = api
        self._server = server
        self._observer = observer
        self._settings = settings
        self.steps = steps

    async def record(self) -> list[Recorded]:
        """Run all operations, one after another, and follow what this task asks."""
        self.steps.task = asyncio.current_task()
        found = await self._api.ask("PUT", "/config/settings", SETTINGS, ADAM)
        assert found.status_code == 200, found.text
        recorded = []
        for operation in OPERATIONS:
            self._api.clock.now += STEP_SECONDS
            recorded.append(await self._record(operation))
        return recorded

    async def _record(self, operation: Operation) -> Recorded:
        record = Recorded(operation, self._api.clock.now, await self._dump())
        record.seen.append(await self.look(record.clock))

        async def look() -> None:
            record.seen.append(await self.look(record.clock))

        await self._forget_scripts()
        self.steps.forget()
        self.steps.after_each = look
        found = await self.ask(operation)
        self.steps.forget()
        assert found.status_code < 300, found.text
        assert record.seen[-1].says(*operation.says), record.seen[-1].text
        return record

    async def ask(self, operation: Operation) -> Any:
        body = operation.body
        if operation.name == "approve":
            state = await SteeringStore(self._observer).read()
            body = {"config_hash": state.versions[2].content_hash}
        return await self._api.ask(operation.method, operation.path, body, operation.who)

    async def cut(self, record: Recorded, at: int) -> Seen:
        """Ask for an operation, kill Redis before this command, and look at what is left."""
        await self._put_back(record)
        last = len(record.seen) - 1
        self.steps.kill_before = at if at < last else None
        self.steps.kill_after = last if at == last else None
        found = await self.ask(record.operation)
        self.steps.forget()
        assert found.status_code == 503, found.text
        self._server.start()
        await until(lambda: not self._api.watch.stale)
        return await self.look(record.clock)

    async def look(self, now: float) -> Seen:
        shown = await steering(self._settings, now)
        state = await SteeringStore(self._observer).read()
        return Seen(state, await contents_of(self._observer), "\n".join(steering_lines(shown)))

    async def _forget_scripts(self) -> None:
        """Have each run send the script that writes, and none the one that a look sends too."""
        await self._observer.script_flush()
        await SteeringStore(self._observer).read()

    async def _dump(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        keys: list[Any] = await self._observer.keys("*")
        for key in keys:
            dumped = await self._observer.dump(key)
            assert dumped is not None
            found[key] = dumped
        return found

    async def _put_back(self, record: Recorded) -> None:
        """Have Redis hold what it held before, and the gateway go by it."""
        async with self._observer.pipeline(transaction=True) as pipe:
            pipe.flushall()
            for key, dumped in record.keys.items():
                pipe.restore(key, 0, dumped)
            pipe.publish(self._api.configs.channel, "put back")
            await pipe.execute()
        await self._forget_scripts()
        await self._api.follows(record.seen[0].state.active)
        # Redis's clock went on meanwhile, and a rollout begins by the later one.
        self._api.clock.now = max(record.clock, time.time() + AHEAD_SECONDS)
        self.steps.forget()


@pytest_asyncio.fixture
async def platform(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Platform]:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    # The command that is looked through waits as long as the test's own clients do.
    monkeypatch.setattr("settings.redis_connection.COMMAND_SECONDS", PATIENCE_SECONDS)
    async with (
        redis_server.patient_client() as redis,
        redis_server.patient_client() as observer,
        config_api(redis, tmp_path) as api,
    ):
        steps = Steps(redis, redis_server, monkeypatch)
        yield Platform(api, redis_server, observer, steps, Settings())


@pytest.mark.timeout(600)
async def test_redis_killed_between_any_two_commands_of_a_deploy(platform: Platform) -> None:
    cuts = 0
    for record in await platform.record():
        for at in range(len(record.seen)):
            left = await platform.cut(record, at)
            hold_legal(record, left)
            expected = record.seen[at]
            assert left.state.revision == expected.state.revision, (record.operation.name, at)
            assert left.text == expected.text
            assert any(left.says(*words) for words in known_words(record)), left.text
            await asked_again(platform, record)
            cuts += 1
    assert cuts >= 4 * len(OPERATIONS)


def hold_legal(record: Recorded, left: Seen) -> None:
    before = record.seen[0]
    assert problems(left.state) == ()
    check_state(left.state, left.contents, before.state.versions)
    way_back(left.state)
    is_tree(before.state, left.state)
    if left.state.revision != before.state.revision:
        by = Actor(record.operation.who.partition(":")[0], ADA.role)
        told = left.contents.told(since=len(before.contents.events))
        commands = DEPLOY if record.operation.name == "deploy" else ()
        check_change(before.state, left.state, told, commands, by)


def known_words(record: Recorded) -> tuple[tuple[str, ...], ...]:
    """Give what the operation before this one left, and what this one leaves."""
    at = OPERATIONS.index(record.operation)
    return (OPERATIONS[at - 1].says if at else FIRST_SAYS), record.operation.says


async def asked_again(platform: Platform, record: Recorded) -> None:
    """Hold that whoever lost the answer can ask again: it is made, once."""
    again = await platform.ask(record.operation)
    assert again.status_code < 300 or again.status_code == 409, again.text
    seen = await platform.look(record.clock)
    hold_legal(record, seen)
    wanted, found = record.seen[-1].state, seen.state
    assert found.active == wanted.active
    assert (found.rollout is None) == (wanted.rollout is None)
    if found.rollout is not None and wanted.rollout is not None:
        assert found.rollout.step == wanted.rollout.step
    assert found.versions[2].stage is wanted.versions[2].stage
    # A draft that is sent again is a second one, which does nothing by itself.
    assert all(life.stage is Stage.DRAFT for number, life in found.versions.items() if number > 2)
